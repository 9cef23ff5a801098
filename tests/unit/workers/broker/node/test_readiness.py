from __future__ import annotations

from peatnode.ipc.messages import DiscoveryReply, SourceState
from peatnode.model.states import SourceStatus
from workers.broker.node.readiness import checks


def discovery_check(*sources: SourceState) -> tuple[bool, str]:
    found = checks(None, None, None, DiscoveryReply(sources, ()), False)
    check = next(one for one in found if one.name == "discovery")
    return check.is_ready, check.message


def test_discovery() -> None:
    watching = SourceState("mdns", SourceStatus.WATCHING, "", 2, 1.0)
    assert discovery_check(watching)[0]
    assert discovery_check(watching, SourceState("static", SourceStatus.WATCHING, "", 0, 0.0))[0]
    assert not discovery_check(
        watching, SourceState("kubernetes", SourceStatus.STARTING, "", 0, -1.0)
    )[0]
    is_ready, message = discovery_check(
        SourceState("kubernetes", SourceStatus.FAILING, "403", 0, -1.0)
    )
    assert (is_ready, message) == (False, "kubernetes: 403")
    is_ready, message = discovery_check(
        SourceState("kubernetes", SourceStatus.FAILING, "timeout", 3, 40.0)
    )
    assert is_ready
    assert "40 s ago" in message


def test_nobody_answers() -> None:
    found = {check.name: check.is_ready for check in checks(None, None, None, None, True)}
    assert found == dict.fromkeys(
        ("running", "workers", "store", "engine", "sync", "discovery"), False
    )
