"""From a discovered peer to one authenticated connection: the plan of dials, the handshake, the election.

Machines enter; what runs over an authenticated connection belongs in `peatnode.protocol.sync`.
"""
