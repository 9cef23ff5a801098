"""The replica: all documents of one node as records in an ordered key-value store, and how changes join them.

Only the store worker and the tests hold a Replica; its storage comes in as the `KeyValue` protocol.
"""
