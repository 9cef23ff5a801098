"""GET /openapi.json: the description of the API.

Every route and every body of the API enters; internals stay out.
"""
