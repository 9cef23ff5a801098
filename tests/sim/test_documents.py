"""Histories of real documents on disks that forget, compared clock by clock."""

from __future__ import annotations

import os

import pytest

from tests.sim.documents import DocumentHistory
from tests.sim.replicas import ReplicaStore
from tests.sim.test_convergence import FIRST, alone

RUNS = int(os.environ.get("PEAT_SIM_DOCUMENT_RUNS", "2000"))
PER_TEST = 50


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_histories_of_real_documents_converge(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            DocumentHistory(f"history of documents {number}").run()
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_DOCUMENT_RUNS=1")
            raise


class KeepsGeneration(ReplicaStore):
    keeps_generation = True


class AcknowledgesEarly(ReplicaStore):
    acknowledges_early = True


@pytest.mark.parametrize("store", [KeepsGeneration, AcknowledgesEarly])
def test_control_a_store_with_a_fault_is_found_by_the_same_histories(
    store: type[ReplicaStore],
) -> None:
    """The faults are a generation that is kept whatever the disk lost, and an acknowledgement before the sync."""
    with pytest.raises(AssertionError):
        _run(store, 300)


def _run(store: type[ReplicaStore], count: int) -> None:
    for number in range(count):
        DocumentHistory(f"history of documents {number}", store).run()
