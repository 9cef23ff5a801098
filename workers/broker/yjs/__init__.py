"""Yjs clients over WebSocket: the protocol of y-websocket (y-protocols sync and awareness).

Only the document's bytes enter: updates pass to the store as they are, and no Yjs engine is imported here.
"""
