"""One framing and one codec for dataclasses, used on the links between processes and between nodes. No I/O.

Code that knows no particular message may enter; messages and their limits stay with the protocol that owns
them.
"""
