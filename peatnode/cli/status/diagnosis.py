"""The health of a node, which follows from its findings. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from peatnode.api.findings.finding import Severity
from peatnode.cli.exits import Exit
from peatnode.cli.status.report import StatusReport
from peatnode.client.models import NodeFinding


class Health(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health of a node, and the findings that it follows from, the worst first."""

    health: Health
    findings: tuple[NodeFinding, ...]

    @property
    def exit_status(self) -> Exit:
        match self.health:
            case Health.HEALTHY:
                return Exit.OK
            case Health.DEGRADED:
                return Exit.DEGRADED
            case Health.UNREACHABLE:
                return Exit.UNREACHABLE


def diagnose(report: StatusReport) -> Diagnosis:
    """The verdict is the same for a local and a remote node: both reports have the findings of one function."""
    if all(part is None for part in (report.node, report.store, report.peers, report.sources)):
        return Diagnosis(Health.UNREACHABLE, report.findings)
    is_healthy = all(finding.severity == Severity.NOTICE for finding in report.findings)
    return Diagnosis(Health.HEALTHY if is_healthy else Health.DEGRADED, report.findings)
