"""The supervisor: starts the processes of a node, monitors them, restarts them, and stops them in order.

The CLI calls `supervisor.run_node`; a new worker enters as a row of `workers.WORKERS`, and none is imported
here.
"""
