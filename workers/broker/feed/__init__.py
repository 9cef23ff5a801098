"""Streams of events for clients of the API: server-sent events, and the same events over a WebSocket.

Code between the feeds of the store and of sync and their subscribers enters; Yjs clients have `yjs`.
"""
