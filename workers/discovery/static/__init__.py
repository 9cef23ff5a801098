"""The source `static`: peers named in PEAT_STATIC_PEERS, by address or host name.

Code for configured peers enters here; only `source.open_source` is called from outside.
"""
