"""QUIC connections over the node's UDP socket, the only place that imports aioquic.

The node's shell uses `endpoint` and `connection`; a protocol with an ALPN of its own enters in `protocols`.
"""
