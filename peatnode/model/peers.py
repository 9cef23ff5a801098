"""A peer that discovery has found, and its addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    """An IP address, or a host name that is not resolved yet."""
    port: int

    def __str__(self) -> str:
        """`host:port`, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """The address that `str` gave this text; None if it is no IP address with a port."""
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
        is_port = port.isascii() and port.isdigit() and 0 < int(port) <= 65535
        return cls(host, int(port)) if is_port else None


@dataclass(frozen=True, slots=True)
class DiscoveredPeer:
    """One peer, merged from the sightings of all sources."""

    key: str
    """The node id if a source knows it, else the key of the sighting; unique among the known peers."""
    node_id: str
    """Empty: any member of the formation is accepted (a static peer without an id)."""
    instance: str
    """32 hex digits; empty if no source knows it."""
    addresses: tuple[Address, ...]
    sources: tuple[str, ...]
    is_ready: bool
    is_terminating: bool
    metadata: tuple[tuple[str, str], ...]
