"""`peatnode doc`: documents of a local or a remote node, with the same output.

Commands, their sources and the formats of their output enter; the meaning of a request is in `peatnode.api`.
"""
