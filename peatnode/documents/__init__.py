"""Documents and their changes: Yjs updates, JSON values, and the replica that joins them. No I/O."""
