"""The codec of Yjs updates (format v1) without an engine: decode, encode, merge, diff, compact, project.

It knows nothing of JSON documents or records; every other part of the node imports its modules directly.
"""
