"""When to repeat a request, and after which pause. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from peatnode.client.errors import Unavailable, UnknownOutcome, Unreachable

NOTHING_CHANGED = frozenset({"unavailable", "busy", "stopping"})
"""Values of `Problem.code` after which a write is safe to repeat."""


class Jitter(Protocol):
    """A `random.Random`, or what stands in for it in a test."""

    def uniform(self, a: float, b: float, /) -> float: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which pauses a request is repeated if that is safe."""

    attempts: int = 4
    """The first attempt included: with 1, no request is repeated."""
    first_seconds: float = 0.1
    longest_seconds: float = 5.0

    def pause(
        self,
        error: Unreachable | UnknownOutcome | Unavailable,
        attempt: int,
        is_read: bool,
        retry_after: float | None,
        generator: Jitter,
    ) -> float | None:
        """Seconds to wait before attempt `attempt` + 1. None: raise the error."""
        if attempt >= self.attempts or not _is_safe(error, is_read):
            return None
        if retry_after is not None:
            return min(retry_after, self.longest_seconds)
        return self.backoff(attempt, generator)

    def backoff(self, attempt: int, generator: Jitter) -> float:
        """Doubles each time, with jitter so that many clients do not return at once."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 20))
        return ceiling * generator.uniform(0.5, 1.0)


def _is_safe(error: Unreachable | UnknownOutcome | Unavailable, is_read: bool) -> bool:
    """A write is repeated only if it is certain that nothing changed."""
    match error:
        case Unreachable():
            return True
        case UnknownOutcome():
            return is_read
        case Unavailable():
            if is_read:
                return error.problem.status in (429, 502, 503, 504)
            return error.problem.status == 429 or error.problem.code in NOTHING_CHANGED
