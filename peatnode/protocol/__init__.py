"""What nodes say to each other. No I/O. docs/protocol.md describes the wire."""
