"""The values that nodes, processes and documents share, each declared once: changes, the tree, states.
No I/O.

Frozen, slotted dataclasses and string enums that import only the standard library may enter; computations
may not.
"""
