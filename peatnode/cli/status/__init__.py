"""`peatnode status`: the report on a node, its diagnosis, and both as tables and as JSON.

Code that reads or shows a report enters; the sockets and the API fill the same values.
"""
