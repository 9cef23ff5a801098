"""The wall clocks of a node and its peers: whether the own one is right (see ../sync/DESIGN.md, Clocks).

Rules that turn measured differences into a verdict enter; `peatnode.protocol.sync` measures, and the store
acts on the verdict.
"""
