"""peatnode: a node of a mesh that keeps the same documents, writable, on every node.

Code that several workers, the supervisor or the command line share may enter; no worker is imported from
here.
"""

__version__ = "0.1.0"
