"""What one source says of one peer, before the sources are put together."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import Address


@dataclass(frozen=True, slots=True)
class Condition:
    """What only an orchestrator knows of a peer."""

    is_ready: bool
    is_terminating: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A peer as one source sees it."""

    key: str
    """Unique within the source and stable as long as the source has it."""
    node_id: str
    """Empty where the source does not know it; then `key` is `host:port`."""
    instance: str
    """Empty where the source does not know it."""
    addresses: tuple[Address, ...]
    """IP addresses, the best first."""
    condition: Condition | None = None
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SightingsChanged:
    """What is new or different at a source, and the keys of what it no longer has."""

    found: tuple[Sighting, ...]
    lost: tuple[str, ...]
