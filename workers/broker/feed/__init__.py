"""Streams of events for clients of the API: server-sent events, and the same events over a WebSocket.

A change enters once per process, from the store's feed, and leaves encoded to every subscriber that selects it.
"""
