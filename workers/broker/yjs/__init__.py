"""Yjs clients over WebSocket: the protocol of y-websocket (y-protocols sync and awareness).

Code of the protocol enters; a Yjs engine stays out, because updates pass to the store unchanged.
"""
