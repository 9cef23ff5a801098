"""Brings back what deletions have ended, and answers what is kept of it.

The service holds `documents.py`, and the batches call `undeletions.py`. How content is kept is a part of the replica.
"""
