"""What nodes say to each other, as machines without I/O. docs/protocol.md describes the wire."""
