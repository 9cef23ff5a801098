"""Faults of a peer. Each closes the connection to that peer and has no other effect."""

from __future__ import annotations

from enum import IntEnum

from peatnode.errors import PeatnodeError


class CloseCode(IntEnum):
    """Application error codes of CONNECTION_CLOSE."""

    GOODBYE = 0
    NOT_AUTHENTICATED = 1
    PROTOCOL = 2
    OTHER_KEPT = 3
    SELF_CONNECTION = 4
    TOO_SLOW = 5
    TOO_MANY = 6
    LEFT = 7
    """A goodbye for good: the node does not come back."""
    BLOCKED = 8
    """An operator of the node that closes it has blocked the other one."""


class PeerFault(PeatnodeError):
    """A peer violated the protocol. `reason` is a short constant, which metrics use as a label."""

    code = CloseCode.PROTOCOL

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class MessageTooLarge(PeerFault):
    """A message is larger than any node needs. It is dropped and counted; the connection stays."""

    def __init__(self, detail: str) -> None:
        super().__init__("message too large", detail)


class NotAuthenticated(PeerFault):
    """The peer has not proved that it belongs to the formation."""

    code = CloseCode.NOT_AUTHENTICATED


class SelfConnection(PeerFault):
    """The connection leads back to this instance."""

    code = CloseCode.SELF_CONNECTION
