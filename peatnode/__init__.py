"""peatnode: a node of a mesh that keeps the same documents, writable, on every node.

What the workers share enters: clients, the supervisor, the protocol, the documents. No worker is imported from here.
"""

__version__ = "0.1.0"
