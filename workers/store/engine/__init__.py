"""The store's side of the engine: its client, and the quarantine of what broke it.

The modules of workers.store import from here; y-py itself runs in the engine worker.
"""
