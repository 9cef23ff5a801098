"""The web pages: the dashboard at `/` and the reference of the API at `/docs`.

Static files enter; they use the API and nothing else.
"""
