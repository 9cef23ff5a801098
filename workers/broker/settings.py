"""The settings of the broker, from the configuration of the node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workers.broker.http.limits import DEFAULT_LIMITS, BrokerLimits


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The master makes them before it forks."""

    node_id: str
    run_dir: Path
    api_token: str = ""
    """Empty: requests need no token."""
    read_token: str = ""
    limits: BrokerLimits = field(default=DEFAULT_LIMITS)
    workers: int = 1
    """Number of serving processes."""
