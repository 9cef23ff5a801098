"""The write path: requests become a batch, and a batch becomes one synced write of the database.

Whatever changes a document in this process enters here as `QueuedRequest` through `GroupCommitter.add`.
"""
