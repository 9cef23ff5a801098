"""The shape of the hash tree, which is the same on every node."""

FAN_OUT = 16
"""Number of children of a node."""

LEVELS = 4
"""Number of levels below the root; the last of them holds the buckets."""

BUCKETS = FAN_OUT**LEVELS

HASH_BYTES = 16
EMPTY_HASH = bytes(HASH_BYTES)
"""The hash of a subtree without documents."""
