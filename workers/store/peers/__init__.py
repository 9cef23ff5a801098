"""What the store keeps about peers, and how many deletions it takes from each of them.

State about peers that must survive a restart enters; what peers say to each other belongs to `peatnode.protocol`.
"""
