"""The values that nodes, processes and documents share, each declared once: documents' changes, the tree, states.

Frozen, slotted dataclasses and string enums enter, which import the standard library alone; what computes
does not. No I/O.
"""
