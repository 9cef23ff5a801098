"""The peers that this node remembers, also while they are absent (see ../sync/DESIGN.md, Members).

Rules on who is a member enter, and what the store keeps of them; connections and dials belong to
`peatnode.protocol.sync` and `peatnode.protocol.connect`.
"""
