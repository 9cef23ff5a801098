"""The source `kubernetes`: peers from EndpointSlices, by list and watch.

Code for the Kubernetes API enters here; only `source.open_source` is called from outside.
"""
