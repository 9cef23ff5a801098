"""The meaning of a request and the bodies of its answer, once for the HTTP API and for the CLI on a node's sockets.

No I/O. Only functions over messages and bytes enter, nothing of a web framework.
"""
