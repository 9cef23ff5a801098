"""A peer as one source reports it, before the reports of all sources are merged."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import Address


@dataclass(frozen=True, slots=True)
class Condition:
    """What only an orchestrator knows about a peer."""

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
    """The new and changed sightings of a source, and the keys of those that it has lost."""

    found: tuple[Sighting, ...]
    lost: tuple[str, ...]
