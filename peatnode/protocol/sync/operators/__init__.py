"""What operators order of the sync machine, and what the book of members asks of it.

Effects of an order on the sessions and the dials enter; the rules on members belong to `peatnode.protocol.members`.
"""
