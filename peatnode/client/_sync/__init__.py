"""The blocking client, generated from `_async` by `make client`; only this page is written by hand.

The public way in is `peatnode.client.Client`.
"""
