"""The same histories over the real documents: joins, client ids and generations, feed and tree included."""

from __future__ import annotations

import os

import pytest

from tests.sim.replicas import ReplicaStore
from tests.sim.test_convergence import FIRST_SEED, run_history

RUNS = int(os.environ.get("PEAT_SIM_DOCUMENT_RUNS", "60"))
PER_TEST = 10


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + RUNS, PER_TEST))
def test_histories_of_real_documents_converge(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        try:
            run_history(seed, ReplicaStore)
        except Exception:
            print(f"failing seed: {seed} (PEAT_SIM_SEED={seed} PEAT_SIM_DOCUMENT_RUNS=1)")
            raise
