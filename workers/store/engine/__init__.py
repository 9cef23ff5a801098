"""The store's side of the engine: its client, and the quarantine of what broke it.

Only the store may import from here, and no module here imports y-py, which runs in the engine worker.
"""
