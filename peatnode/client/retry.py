"""Decides whether to repeat a request, and after which pause. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from peatnode.client.errors import Unavailable, UnknownOutcome, Unreachable

NOTHING_CHANGED = frozenset({"unavailable", "busy", "stopping"})
"""Values of `Problem.code` after which a write is safe to repeat."""


class Jitter(Protocol):
    """A `random.Random`, or its substitute in a test."""

    def uniform(self, a: float, b: float, /) -> float: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is repeated if that is safe, and after which pauses."""

    attempts: int = 4
    """Including the first: with 1, no request is repeated."""
    first_seconds: float = 0.1
    longest_seconds: float = 5.0
    """Maximum pause, also if the node asks for a longer one."""

    def pause(
        self,
        error: Unreachable | UnknownOutcome | Unavailable,
        attempt: int,
        is_read: bool,
        retry_after: float | None,
        generator: Jitter,
    ) -> float | None:
        """Seconds to wait before attempt `attempt` + 1. None: do not repeat.

        `attempt` counts from 1; `retry_after`: seconds that the node asks to wait.
        """
        if attempt >= self.attempts or not _is_safe(error, is_read):
            return None
        if retry_after is not None:
            return min(retry_after, self.longest_seconds)
        return self.backoff(attempt, generator)

    def backoff(self, attempt: int, generator: Jitter) -> float:
        """A pause in seconds that doubles with each attempt, with jitter against synchronized clients."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 20))
        return ceiling * generator.uniform(0.5, 1.0)


def _is_safe(error: Unreachable | UnknownOutcome | Unavailable, is_read: bool) -> bool:
    """Whether repeating is safe: for a write, only if it is certain that nothing changed."""
    match error:
        case Unreachable():
            return True
        case UnknownOutcome():
            return is_read
        case Unavailable():
            if is_read:
                return error.problem.status in (429, 502, 503, 504)
            return error.problem.status == 429 or error.problem.code in NOTHING_CHANGED
