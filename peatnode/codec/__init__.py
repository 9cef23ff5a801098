"""One framing and one codec for dataclasses, used on the links between processes and between nodes. No I/O.

What enters is independent of any message: the messages and their limits stay with the protocol that owns them.
"""
