"""Opens the sources that are configured, each with only the libraries that it needs."""

from __future__ import annotations

import importlib

from peatnode.config import SOURCES, Config
from workers.discovery.source import PeerSource, Place, SourceReport


def open_source(name: str, config: Config, place: Place, report: SourceReport) -> PeerSource:
    """Raises BadConfiguration where the source cannot work here."""
    spec = next(spec for spec in SOURCES if spec.name == name)
    source: PeerSource = importlib.import_module(spec.module).open_source(config, place, report)
    return source
