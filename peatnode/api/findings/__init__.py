"""What an operator should know of a node: one list of findings for the API, the dashboard and the CLI.

No I/O. A function that turns replies of the workers into findings enters; what shows findings stays out.
"""
