"""Links between the processes of a node: their messages, framing, requests and streams.

Every process may import it; new messages enter in `messages`, and code that knows a particular worker stays
outside.
"""
