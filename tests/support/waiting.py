"""The one way in which tests and benchmarks wait: for a condition, with a limit, never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def wait(
    condition: Callable[[], T], what: str = "it", limit: float = 60.0, pause: float = 0.02
) -> T:
    """Blocks until the condition is true, and returns its value."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {limit:g} s"
        time.sleep(pause)
    return found


async def until(condition: Callable[[], Any], limit: float = 30.0, pause: float = 0.005) -> float:
    """As `wait` on an event loop; the condition may be a coroutine function. Returns the seconds that it took."""
    started = time.monotonic()
    while not await _value(condition):
        assert time.monotonic() < started + limit, f"not within {limit:g} s"
        await asyncio.sleep(pause)
    return time.monotonic() - started


async def _value(condition: Callable[[], Any]) -> Any:
    value = condition()
    return await value if inspect.isawaitable(value) else value
