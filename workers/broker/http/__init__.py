"""Parts that all routes use: limits, tokens, parameters and bodies of requests, counters, and ASGI.

Code that knows no route and no worker enters.
"""
