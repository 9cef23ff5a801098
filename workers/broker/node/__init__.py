"""The routes of the node and its peers, and the checks of readiness.

Code that turns reports of the workers into answers enters; `peatnode.api` encodes the bodies.
"""
