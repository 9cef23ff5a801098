"""A peer as discovery finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    """An IP address."""
    port: int


@dataclass(frozen=True, slots=True)
class DiscoveredPeer:
    key: str
    """The node id where the source knows it, else `host:port` as configured."""
    node_id: str
    """Empty: any member of the formation will do (a static peer without id)."""
    instance: str
    """Empty where the source does not know it."""
    addresses: tuple[Address, ...]
    sources: tuple[str, ...]
    is_ready: bool
    is_terminating: bool
    metadata: tuple[tuple[str, str], ...]
