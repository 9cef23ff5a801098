"""The worker processes of a node, one package each.

The supervisor starts them by name (`peatnode.supervision.workers`); no package here imports another.
"""
