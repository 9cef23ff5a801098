"""The worker processes of a node, one package each.

A worker enters as a package with a row in `peatnode.supervision.workers`; no package here imports another
one.
"""
