"""A finding and its body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from peatnode.api.json_schema import TEXT, record


class Severity(StrEnum):
    ERROR = "error"
    """The node does not serve reads and writes: it is not ready."""
    DEGRADED = "degraded"
    """The node works with restrictions."""
    NOTICE = "notice"
    """Information; the node works."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of the node, or a piece of information."""

    severity: Severity
    where: str
    """A worker, `supervisor`, `node`, `peers`, or `peer NAME`."""
    message: str
    advice: str


FINDING_SCHEMA = record(
    severity={"enum": list(Severity)},
    where=TEXT,
    message=TEXT,
    advice=TEXT,
)


def encode_findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "severity": finding.severity,
            "where": finding.where,
            "message": finding.message,
            "advice": finding.advice,
        }
        for finding in findings
    ]
