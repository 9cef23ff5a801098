"""The blocking client: requests, feeds and streams over httpx and websockets.

No code enters by hand: `make client` generates the modules from `_async`.
"""
