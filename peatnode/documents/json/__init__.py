"""A document as a JSON value: its shape inside a Yjs document, differences, patches and pointers.

Code that reads or writes values belongs here; records and the store's key space do not.
"""
