"""The values that nodes, processes and documents share, each declared once: changes, the tree, states. No I/O.

Frozen, slotted dataclasses and string enums may enter, on the standard library alone; what computes does not.
"""
