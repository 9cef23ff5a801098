"""What the broker takes from the node's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workers.broker.http.limits import DEFAULT_LIMITS, BrokerLimits


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What the broker takes from the node's configuration."""

    node_id: str
    run_dir: Path
    started_at: float
    """Of the node, in Unix seconds."""
    api_token: str = ""
    """Empty: nobody is asked for one."""
    read_token: str = ""
    limits: BrokerLimits = field(default=DEFAULT_LIMITS)
    workers: int = 1
