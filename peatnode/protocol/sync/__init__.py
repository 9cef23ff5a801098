"""Sync: pushes, anti-entropy and the state of each peer, as one machine (see DESIGN.md).

A shell imports `machine` and `events`; the other modules are parts of the machine, and new parts enter
there.
"""
