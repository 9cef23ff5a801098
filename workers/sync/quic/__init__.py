"""QUIC connections over the UDP socket of the node: the only package that imports aioquic.

The rest of the worker uses `endpoint` and `connection`; a protocol with its own ALPN enters in `protocols`.
"""
