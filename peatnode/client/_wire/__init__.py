"""What both clients share: requests and responses as values, formats of streams, and translated errors.

Nothing here does I/O; a difference between the two clients belongs into the table of `.ci/unasync.py`.
"""
