"""The broker's part of the node's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workers.broker.http.limits import DEFAULT_LIMITS, BrokerLimits


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Made in the master, before it forks."""

    node_id: str
    run_dir: Path
    started_at: float
    """Of the node, in Unix seconds."""
    api_token: str = ""
    """Empty: requests need no token."""
    read_token: str = ""
    limits: BrokerLimits = field(default=DEFAULT_LIMITS)
    workers: int = 1
    """Serving processes."""
