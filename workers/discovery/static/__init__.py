"""The source `static`: peers named in PEAT_STATIC_PEERS, by address or host name.

Only `source.open_source` is called from outside; nothing enters that another source could use.
"""
