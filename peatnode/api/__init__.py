"""What requests mean and how answers are encoded: for the HTTP API and for the CLI on local sockets.

No I/O. Functions over messages and bytes enter; a web framework stays out.
"""
