"""The same histories over the real documents: joins, client ids and generations, feed and tree included."""

from __future__ import annotations

import os

import pytest

from tests.sim.replicas import ReplicaStore
from tests.sim.test_convergence import FIRST, alone, run_history

RUNS = int(os.environ.get("PEAT_SIM_DOCUMENT_RUNS", "60"))
PER_TEST = 10


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_histories_of_real_documents_converge(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            run_history(f"history of documents {number}", ReplicaStore)
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_DOCUMENT_RUNS=1")
            raise
