"""Seeded histories of writes and faults: in the end all nodes are equal, nothing is lost, nothing deleted is back."""

from __future__ import annotations

import os

import pytest

from tests.sim.histories import run_history
from tests.support import seeds

RUNS = int(os.environ.get("PEAT_SIM_RUNS", "500"))
FIRST = int(os.environ.get("PEAT_SIM_FIRST", "0"))
PER_TEST = 50


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_histories_converge(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            run_history(f"history {number}")
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_RUNS=1")
            raise


def alone(number: int) -> str:
    return f"{seeds.VARIABLE}={seeds.run_seed()} PEAT_SIM_FIRST={number}"
