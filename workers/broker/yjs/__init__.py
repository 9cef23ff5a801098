"""Yjs clients over WebSocket: the protocol of y-websocket (y-protocols sync and awareness)."""
