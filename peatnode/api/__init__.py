"""The meaning of a request and the bodies of its answer, once for the HTTP API and for the CLI on a node's sockets.

Only pure functions over messages and bytes enter: no I/O, no clock, nothing of a web framework.
"""
