"""The bytes between nodes: frames, messages, batches of updates, and the faults of a peer.

Encoders, decoders and limits on input from peers may enter; state of a peer may not.
"""
