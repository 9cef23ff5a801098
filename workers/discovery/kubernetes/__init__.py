"""The source `kubernetes`: peers from EndpointSlices, by list and watch.

Only `source.open_source` is called from outside; nothing enters that another source could use.
"""
