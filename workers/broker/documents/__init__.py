"""The routes of documents and collections: reads, writes, listings, queries, exports and watches.

Code that needs a request or a response enters; rules that the CLI shares belong in `peatnode.api`.
"""
