"""The client for asyncio, written by hand: requests, feeds and streams over httpx and websockets.

The public way in is `peatnode.client.AsyncClient`; `_sync` is generated from these modules by `make client`.
"""
