"""Members that hog, lie, leap, delete, forge and impersonate: the honest nodes become equal, and lose nothing."""

from __future__ import annotations

import os

import pytest

from tests.sim.hostile import HostileHistory
from tests.sim.test_convergence import FIRST, alone

RUNS = int(os.environ.get("PEAT_SIM_HOSTILE_RUNS", "2000"))
PER_TEST = 100


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_honest_nodes_converge_among_members_that_obey_no_rule(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            HostileHistory(f"hostile history {number}").run()
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_HOSTILE_RUNS=1")
            raise
