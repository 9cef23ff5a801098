"""What nodes say to each other: frames and messages, the handshake, and sync, as machines. No I/O.

Events and the time enter, actions leave; sockets, clocks and the store stay in `workers.sync`.
"""
