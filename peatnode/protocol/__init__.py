"""The protocol between nodes: frames and messages, the handshake, and sync, as state machines. No I/O.

Machines that receive events with the time and return actions may enter; sockets, clocks and the store may
not.
"""
