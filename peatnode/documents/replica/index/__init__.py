"""What a replica knows of all its documents at once: the hash tree and the numbers of documents.

It is kept in memory, follows each commit, and can be computed from the entries on disk at any time.
"""
