"""How many lines others can cause."""

from __future__ import annotations

import random
from typing import Any

from peatnode.logs.quota import LINE_SECONDS, MAX_KEYS, MAX_REASONS, LogQuota


class Log:
    """Keeps the lines, and is the clock."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.now = 1000.0
        self.quota = LogQuota(self, lambda: self.now)

    def warning(self, message: str, **fields: Any) -> None:
        self.lines.append((message, fields))

    debug = info = error = warning

    def refuse(self, peer: str, reason: str, doc: str = "notes/n1") -> None:
        self.quota.warning("Update refused", (peer, reason), peer=peer, doc=doc, reason=reason)


def test_one_line_a_minute_with_the_number_of_those_that_were_dropped() -> None:
    log = Log()
    for number in range(1000):
        log.refuse("node-b", "too large", f"notes/n{number}")
    assert log.lines == [
        ("Update refused", {"peer": "node-b", "doc": "notes/n0", "reason": "too large"})
    ]
    log.now += LINE_SECONDS - 0.001
    log.refuse("node-b", "too large")
    assert len(log.lines) == 1
    log.now += 0.001
    log.refuse("node-b", "too large")
    assert log.lines[1][1]["count"] == 1000
    log.now += LINE_SECONDS
    log.refuse("node-b", "too large")
    assert "count" not in log.lines[2][1]


def test_each_peer_each_reason_and_each_message_has_its_own_lines() -> None:
    log = Log()
    for _ in range(3):
        log.refuse("node-b", "too large")
        log.refuse("node-c", "too large")
        log.refuse("node-b", "too deep")
        log.quota.info("Peer forgotten", ("node-b", ""), peer="node-b")
    assert len(log.lines) == 4


def test_reasons_that_a_peer_makes_up_share_one_line() -> None:
    log = Log()
    for number in range(5000):
        log.refuse("node-b", f"reason {number}")
    assert len(log.lines) == MAX_REASONS + 1
    log.refuse("node-c", "reason 1")
    assert log.lines[-1][1]["peer"] == "node-c"
    log.now += LINE_SECONDS
    log.refuse("node-b", "reason of the next minute")
    assert log.lines[-1][1]["reason"] == "reason of the next minute"


def test_addresses_without_number_share_one_line() -> None:
    log = Log()
    for number in range(5000):
        log.refuse(f"10.0.{number}", "wrong secret")
    assert len(log.lines) == len(log.quota) == MAX_KEYS + 1
    log.now += LINE_SECONDS
    log.refuse("one more", "wrong secret")
    assert len(log.quota) == 1


def test_whatever_comes_lines_and_memory_are_bounded(rng: random.Random) -> None:
    log = Log()
    minutes = 0.0
    for _ in range(20_000):
        step = rng.choice([0.0, 0.0, 0.01, 0.5])
        minutes += step / LINE_SECONDS
        log.now += step
        peer = rng.choice(["a", "b", str(rng.random())])
        log.refuse(peer, rng.choice(["x", "y", str(rng.random())]))
        assert len(log.quota) <= MAX_KEYS + 1
    assert len(log.lines) <= (MAX_KEYS + 1) * (minutes + 1)
