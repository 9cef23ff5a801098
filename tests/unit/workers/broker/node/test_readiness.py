from __future__ import annotations

import pytest

from peatnode.ipc.messages import DiscoveryReply, PeersReply, SourceState
from peatnode.model.clock import ClockState, ClockVerdict
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
        ("running", "workers", "store", "engine", "sync", "clock", "discovery"), False
    )


@pytest.mark.parametrize("state", list(ClockState))
def test_a_clock_that_may_be_wrong_is_said_and_blocks_nothing(state: ClockState) -> None:
    verdict = ClockVerdict(state, "b is 9 h ahead")
    found = checks(None, None, PeersReply((), b"", (), verdict), None, False)
    (check,) = [one for one in found if one.name == "clock"]
    assert check.is_ready
    assert check.message.startswith("b is 9 h ahead")
    assert ("neither set nor carried out" in check.message) == verdict.is_denied
