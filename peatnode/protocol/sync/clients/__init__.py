"""What clients of this node have in hand with the sync machine: awareness, and waits for replicas.

Concerns of clients that need all sessions enter; a concern of one peer belongs to its session.
"""
