"""`peatnode doc`, `export` and `import`: documents of a local or a remote node, with the same output.

Commands, sources of documents and output formats enter; what a request means is in `peatnode.api`.
"""
