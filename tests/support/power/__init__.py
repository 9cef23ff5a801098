"""Power cuts: what a store did to its files is recorded, and replayed on a disk that forgets what was not synced.

Only tests use it: `recorder.py` records, `disk.py` is the model, `cut.py` decides what is left, `check.py` opens that.
"""
