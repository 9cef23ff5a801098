"""How much a machine holds: everything that can be reached from it."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_SHARED = (type, ModuleType, BuiltinFunctionType, random.Random)


def held_bytes(root: object) -> int:
    """The size of an object with all that it refers to, without classes, modules and generators of randomness."""
    seen: set[int] = set()
    waiting: list[object] = [root]
    total = 0
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, _SHARED):
            continue
        seen.add(id(found))
        total += sys.getsizeof(found)
        waiting.extend(_referents(found))
    return total


def _referents(found: Any) -> Iterable[object]:
    """Of a function those that it has captured: its globals are the module."""
    return found.__closure__ or () if isinstance(found, FunctionType) else gc.get_referents(found)
