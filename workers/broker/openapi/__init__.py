"""openapi.json: the description of the API.

Every route and every body of the API enters, and nothing that a client does not see.
"""
