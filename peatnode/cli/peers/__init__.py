"""`peatnode peers` and `peatnode leave`: who belongs to the mesh, who has gone, and what happened to them.

Code that asks a node about its peers, or shows them, enters; the sockets and the API give the same values.
"""
