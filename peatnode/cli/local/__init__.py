"""`peatnode dev` and `peatnode mesh`: nodes on this machine, planned, started and stopped.

Only what starts nodes belongs here; what asks a running node is in `documents` and `status`.
"""
