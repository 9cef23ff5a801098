"""The database on disk: RocksDB, its opening, repair and generations, and the health and space of its disk.

Only `database.py` may import rocksdict; the rest of the store imports from here, never the reverse.
"""
