"""The codec of Yjs updates (format v1) without an engine: decode, encode, merge, diff, compact, project.

Only `peatnode.documents.limits` and `peatnode.errors` may be imported here; all other packages may import from here.
"""
