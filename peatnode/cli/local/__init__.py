"""`peatnode dev` and `peatnode mesh`: planning, starting and stopping nodes on this machine.

Code that starts nodes enters; requests to a running node belong in `documents` and `status`.
"""
