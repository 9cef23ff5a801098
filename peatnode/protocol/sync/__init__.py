"""Sync: pushes, anti-entropy and the state of each peer, as one machine (see DESIGN.md).

`machine` and `events` are the way in for a shell; the other modules are parts of the machine.
"""
