"""The processes and connections of the broker: gunicorn with uvicorn's protocols.

Code that uses inner interfaces of gunicorn or uvicorn enters; routes stay out.
"""
