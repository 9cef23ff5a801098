"""A peer as one source reports it, before the sightings of all sources are merged."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import Address


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of a peer that only an orchestrator knows."""

    is_ready: bool
    is_terminating: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """One peer as one source reports it."""

    key: str
    """Unique within the source, and stable as long as the source reports the peer."""
    node_id: str
    """Empty if the source does not know it."""
    instance: str
    """32 hex digits; empty if the source does not know it."""
    addresses: tuple[Address, ...]
    """The best address first."""
    condition: Condition | None = None
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SightingsChanged:
    """The new and changed sightings of a source, and the keys of the lost ones."""

    found: tuple[Sighting, ...]
    lost: tuple[str, ...]
