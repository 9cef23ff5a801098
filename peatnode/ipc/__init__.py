"""Links between the processes of a node: their messages, framing, requests and streams.

Every process may import it; a message enters in `messages`, and knowledge of a particular worker does not.
"""
