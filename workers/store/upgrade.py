"""Brings the content sums of a store to this version's definition and this formation's key, before it is served."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.replica.index.resum import Resum
from workers.store.disk.database import Database

REPORT_SECONDS = 5.0
"""Time between two reports of the progress."""


def is_summed(database: Database, sums: UnitSums) -> bool:
    """Whether the records have the content sums of this version under this key. Raises StorageFailed."""
    return not Resum(database, sums).is_due


def sum_anew(
    database: Database,
    sums: UnitSums,
    report: Callable[[int], None],
    is_stopping: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Computes all sums that are not those of this version and key. Returns False if it was stopped before the end.

    Runs in a thread. `report` receives the number of documents so far: once at the beginning, at intervals, and at the
    end. Where nothing is to be done, it is not called. Raises StorageFailed, as EntriesDiffer for a damaged record.
    """
    resum = Resum(database, sums)
    if not resum.is_due:
        return True
    done, reported = 0, clock()
    tell = (lambda _: None) if resum.is_new else report
    tell(0)
    with closing(resum.batches()) as batches:
        for batch in batches:
            database.write(batch.writes)
            database.sync()
            done += batch.records
            if resum.is_due and is_stopping():
                return False
            if clock() - reported >= REPORT_SECONDS:
                reported = clock()
                tell(done)
    tell(done)
    return True
