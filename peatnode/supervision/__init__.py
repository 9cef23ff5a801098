"""The supervisor: starts the processes of a node, watches them, restarts them, and stops them in order.

The CLI calls `supervisor.run_node`; a worker enters as a row of `workers.WORKERS`, and no worker is imported here.
"""
