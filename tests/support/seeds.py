"""The seed of a run, and of each random test in it.

`PEAT_SEED=n` repeats a run: the order of the tests, and what a random test draws, depend on it and on their names.
"""

from __future__ import annotations

import os
import random

VARIABLE = "PEAT_SEED"


def run_seed() -> int:
    """PEAT_SEED; where it is not set, it is drawn and set, so that the processes of one run share it."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = str(random.SystemRandom().randrange(1, 10**6))
    return int(os.environ[VARIABLE])


def generator(name: str) -> random.Random:
    """The same for the same run and name, in whatever order the tests run."""
    return random.Random(f"{run_seed()} {name}")
