"""The clocks of documents with many clients: state vectors and delete sets of two layers, the lower of which is shared.

Representations of vectors and ranges may enter; nothing here knows of records, keys or structs.
"""
