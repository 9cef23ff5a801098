from __future__ import annotations

from dataclasses import replace

from tests.support.replies import NODE, STORE
from workers.broker.node.readiness import checks


def failed(*args: object) -> set[str]:
    return {check.name for check in checks(*args) if not check.is_ready}  # type: ignore[arg-type]


def test_the_checks_are_whether_reads_and_writes_are_served() -> None:
    names = [check.name for check in checks(NODE, STORE, False)]
    assert names == ["running", "workers", "store", "engine"]
    assert failed(NODE, STORE, False) == set()


def test_nobody_answers() -> None:
    assert failed(None, None, True) == {"running", "workers", "store", "engine"}


def test_what_fails() -> None:
    assert failed(replace(NODE, is_stopping=True), STORE, False) == {"running"}
    assert failed(replace(NODE, workers=NODE.workers[:-1]), STORE, False) == {"workers"}
    assert failed(NODE, replace(STORE, is_writable=False), False) == {"store"}
    assert failed(NODE, replace(STORE, engine_is_ready=False), False) == {"engine"}
