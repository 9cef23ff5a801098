"""Pushes: the changes that peers still need, what was sent to each of them, and what was received from each.

What carries changes from one feed to another store enters; the comparison of stores does not.
"""
