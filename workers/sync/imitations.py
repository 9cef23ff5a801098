"""The problem `identity`: a member has shown the instance of another one."""

from __future__ import annotations

import asyncio
from typing import Protocol

IDENTITY_PROBLEM = "identity"
SECONDS = 600.0
"""The problem stays for this time after the last attempt."""


class Problems(Protocol):
    """The part of `WorkerShell` that reports to the operator."""

    def raise_problem(self, name: str, message: str, advice: str) -> None: ...
    def clear_problem(self, name: str) -> None: ...


class Imitations:
    """Reports the last attempt. No honest node makes one: an instance has one key, and one node id."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.TimerHandle | None = None

    def report(self, node_id: str, holder: str) -> None:
        """`node_id` has shown the instance that `holder` has."""
        self._problems.raise_problem(
            IDENTITY_PROBLEM,
            f"{node_id} has shown the instance of {holder}. Its connection was refused.",
            f"No node does that: somebody who holds the formation secret imitates one. Find out who {node_id} is, and "
            f"block it (`peatnode peers block {node_id}`), or give the true nodes a new secret.",
        )
        if self._end is not None:
            self._end.cancel()
        self._end = self._loop.call_later(SECONDS, self._problems.clear_problem, IDENTITY_PROBLEM)
