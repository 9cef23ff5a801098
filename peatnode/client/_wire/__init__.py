"""What both clients share: requests and responses as values, formats of streams, and translated errors.

Code that sends and receives nothing enters; `_async` does the I/O.
"""
