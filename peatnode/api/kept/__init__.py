"""The bodies of what a node keeps until an operator decides.

The broker and the command line enter, and so may whoever answers in the form of the API.
"""
