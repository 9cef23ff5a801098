"""The table of the sources of peers, in the order of trust."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source of peers. Its module has `open_source(config, node, report)`, which returns a PeerSource."""

    name: str
    """The name in PEAT_DISCOVERY, in status and in metrics."""
    module: str
    """The module that the discovery worker imports if the source is configured."""
    aliases: tuple[str, ...] = ()
    """Other names in PEAT_DISCOVERY."""


SOURCES = (
    SourceSpec("kubernetes", "workers.discovery.kubernetes.source", ("k8s",)),
    SourceSpec("mdns", "workers.discovery.mdns.source"),
    SourceSpec("static", "workers.discovery.static.source"),
)
"""If several sources know a peer, the addresses of the earlier source come first."""

SOURCE_NAMES = tuple([spec.name for spec in SOURCES])

CANONICAL = {name: spec.name for spec in SOURCES for name in (spec.name, *spec.aliases)}
"""Maps every name and alias that PEAT_DISCOVERY accepts to the name of the source."""


def list_sources() -> str:
    """The sources with their aliases, for people: `kubernetes (k8s), mdns, static`."""
    shown = [f"{s.name} ({', '.join(s.aliases)})" if s.aliases else s.name for s in SOURCES]
    return ", ".join(shown)
