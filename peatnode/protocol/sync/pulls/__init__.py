"""Anti-entropy on the side that lacks documents: one pull, how far it is, and whose turn it is.

What fetches documents from a peer enters; what answers a peer's questions does not.
"""
