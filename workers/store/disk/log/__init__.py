"""RocksDB's log: its sync, the note of the newest one, and what its records say about damage.

Only `database.py` syncs it, and only `open.py` reads it.
"""
