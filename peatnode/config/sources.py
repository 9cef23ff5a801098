"""The sources of peers: the one table that lists them, in order of trust."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source of peers. Its module has `open_source(config, place, report)`, which returns a PeerSource."""

    name: str
    """In PEAT_DISCOVERY, in status and in metrics."""
    module: str
    """Imported by the discovery worker, and only where the source is configured."""
    aliases: tuple[str, ...] = ()
    """Other names in PEAT_DISCOVERY."""


SOURCES = (
    SourceSpec("kubernetes", "workers.discovery.kubernetes.source", ("k8s",)),
    SourceSpec("mdns", "workers.discovery.mdns.source"),
    SourceSpec("static", "workers.discovery.static.source"),
)
"""Where several sources know a peer, the addresses from an earlier one come first."""

SOURCE_NAMES = tuple([spec.name for spec in SOURCES])

CANONICAL = {name: spec.name for spec in SOURCES for name in (spec.name, *spec.aliases)}
"""Every name that PEAT_DISCOVERY may hold, to the name of its source."""


def list_sources() -> str:
    """For people: `kubernetes (k8s), mdns, static`."""
    shown = [f"{s.name} ({', '.join(s.aliases)})" if s.aliases else s.name for s in SOURCES]
    return ", ".join(shown)
