"""What a document says as one number: equal for equal content, however it is cut, encoded or compacted.

Code that weighs or compares the units of documents belongs here; records and their places on disk do not.
"""
