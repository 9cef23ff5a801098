"""GET /metrics: the metrics of all workers, and the HELP line of each.

Metrics of the broker itself enter; other workers make their own and answer `GetMetrics`.
"""
