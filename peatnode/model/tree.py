"""The shape of the tree of fingerprints, the same on every node."""

FAN_OUT = 16
"""Children of a node."""

LEVELS = 4
"""Below the root; the buckets are level 4."""

BUCKETS = FAN_OUT**LEVELS

HASH_BYTES = 16
EMPTY_HASH = bytes(HASH_BYTES)
"""Of a subtree that holds no document."""
