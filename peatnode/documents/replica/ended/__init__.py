"""What documents held when they were deleted: kept for a while, so that an operator can bring it back.

No I/O. The replica calls it for each document that ends, and the store decides how long and how much it keeps.
"""
