"""The source `mdns`: peers on the same network, by multicast DNS.

Only `source.open_source` is called from outside; nothing enters that another source could use.
"""
