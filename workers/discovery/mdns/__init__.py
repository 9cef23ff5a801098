"""The source `mdns`: peers on the same network, by multicast DNS.

Code for multicast DNS enters here; only `source.open_source` is called from outside.
"""
