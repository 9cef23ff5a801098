"""The client for asyncio: requests, feeds and streams over httpx and websockets.

Code that does I/O enters; `make client` generates `_sync` from it.
"""
