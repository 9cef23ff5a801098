"""Faults of a peer. Each ends the connection to that peer and nothing else."""

from __future__ import annotations

from enum import IntEnum

from peatnode.errors import PeatnodeError


class CloseCode(IntEnum):
    """Application error codes of CONNECTION_CLOSE."""

    GOODBYE = 0
    NOT_AUTHENTICATED = 1
    PROTOCOL = 2
    OTHER_KEPT = 3
    OURSELVES = 4
    TOO_SLOW = 5
    TOO_MANY = 6


class PeerFault(PeatnodeError):
    """A peer has violated the protocol. `reason` is a short constant, which is also a label of metrics."""

    code = CloseCode.PROTOCOL

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class NotAuthenticated(PeerFault):
    """The peer has not proved that it belongs to the formation."""

    code = CloseCode.NOT_AUTHENTICATED


class IsOurselves(PeerFault):
    """The connection leads back to this instance."""

    code = CloseCode.OURSELVES
