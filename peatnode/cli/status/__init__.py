"""`peatnode status`: the report on a node, its diagnosis, and both as tables and as JSON.

The two ways to a report enter, from the sockets and from the API; both fill the same values.
"""
