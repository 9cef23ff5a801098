"""The way from a discovered peer to one authenticated connection: dial plan, handshake and election.

Machines for the time before authentication enter here; the protocol after it belongs in
`peatnode.protocol.sync`.
"""
