"""The write path: requests become a batch, and a batch becomes one synced write of the database.

Each change to a document of this process enters as a `QueuedRequest`, through `GroupCommitter.add`.
"""
