"""The bytes between nodes: frames, messages, batches of updates, and the faults of a peer.

Every limit on what a peer sends is checked here, before anything is allocated; nothing here keeps state of a peer.
"""
