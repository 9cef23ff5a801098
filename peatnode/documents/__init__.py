"""Documents and their changes: names, limits, Yjs updates, JSON values, and the replica of a node. No I/O.

Only the standard library, msgpack, orjson, `peatnode.model` and `peatnode.errors` may be imported here; any layer
above may import from here. DESIGN.md describes the records and their states.
"""
