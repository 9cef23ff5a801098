"""Opens a configured source, and imports only the libraries that it needs."""

from __future__ import annotations

import importlib

from peatnode.config import SOURCES, Config
from workers.discovery.source import PeerSource, SourceReport, ThisNode


def open_source(name: str, config: Config, node: ThisNode, report: SourceReport) -> PeerSource:
    """Opens the source of this name. Raises BadConfiguration if it cannot work in this environment."""
    spec = next(spec for spec in SOURCES if spec.name == name)
    source: PeerSource = importlib.import_module(spec.module).open_source(config, node, report)
    return source
