from dataclasses import replace

import pytest

from peatnode.cli.exits import Exit
from peatnode.cli.status.diagnosis import Health, diagnose
from peatnode.cli.status.report import NoAnswer, StatusReport
from peatnode.client.models import NodeFinding
from tests.support.reports import HEALTHY, NOW


def with_findings(*severities: str) -> StatusReport:
    findings = [NodeFinding(severity, "node", "It is so.") for severity in severities]
    return replace(HEALTHY, findings=tuple(findings))


@pytest.mark.parametrize(
    ("severities", "health", "status"),
    [
        ((), Health.HEALTHY, Exit.OK),
        (("notice",), Health.HEALTHY, Exit.OK),
        (("notice", "degraded"), Health.DEGRADED, Exit.DEGRADED),
        (("error",), Health.DEGRADED, Exit.DEGRADED),
        (("a word of a newer node",), Health.DEGRADED, Exit.DEGRADED),
    ],
)
def test_the_health_follows_from_the_findings(
    severities: tuple[str, ...], health: Health, status: Exit
) -> None:
    diagnosis = diagnose(with_findings(*severities))
    assert (diagnosis.health, diagnosis.exit_status) == (health, status)
    assert [finding.severity for finding in diagnosis.findings] == [*severities]


def test_nobody_answers() -> None:
    diagnosis = diagnose(StatusReport(NOW, unanswered=(NoAnswer("sync", "refused"),)))
    assert diagnosis.health is Health.UNREACHABLE
    assert diagnosis.exit_status == Exit.UNREACHABLE
