"""Power cuts: what stores did to their files is recorded, and the power is cut at many points of it.

A cut keeps what was synced, and of the rest whatever the seed decides: nothing, all of it, or parts of files and names.
Then the store is opened as its worker opens it. `PEAT_POWER_CUTS` sets the number of cuts.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.power.cut import Rest
from tests.support.power.disk import Names, Syncs
from tests.support.power.recorder import Recorder, Recording, compiled_recorder
from tests.support.power.scenes import AFTER_CUT, record_life, record_worker
from tests.support.power.series import Series, choose_cuts

pytestmark = pytest.mark.timeout(0 if "PEAT_POWER_CUTS" in os.environ else 300)

TURNS = max(1, int(os.environ.get("PEAT_POWER_CUTS", "100")) // 100)
"""Each turn has 100 cuts: those of a life, of a worker, and of stores that a first cut has left."""
CUTS_OF_LIFE, CUTS_OF_WORKER, CUTS_AFTER_CUT, CUT_STORES = 40, 30, 10, 3
WRITES = 800
SYNC_MICROSECONDS = (0, 0, 300, 3000)
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_recorder(tmp_path_factory.mktemp("recorder"))


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: the files of a cut are written, read and removed."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="peat-power-", dir=MEMORY) as directory:
        yield Path(directory)
        if failed := list(Path(directory).glob("**/cut-*")):
            for number, left in enumerate(failed):
                shutil.copytree(left, tmp_path / f"{number}-{left.name}")


def recorder(library: Path, place: Path, rng: random.Random, boot: int = 1) -> Recorder:
    place.mkdir(exist_ok=True)
    return Recorder(library, place / "data", place / "trace", boot, rng.choice(SYNC_MICROSECONDS))


def test_a_power_cut_loses_nothing_that_was_acknowledged(
    library: Path, scratch: Path, rng: random.Random
):
    """Writes, compactions, starts, repairs by copy and in place, checkpoints, a trimmed feed."""
    for turn in range(TURNS):
        recording = record_life(recorder(library, scratch / f"{turn}", rng), rng)
        series = Series(recording, scratch / f"{turn}", rng, rng.choice([*Names]))
        wrong = series.wrong(choose_cuts(recording, CUTS_OF_LIFE, rng))
        assert not wrong, wrong
        shutil.rmtree(scratch / f"{turn}")


def test_a_power_cut_under_load_loses_nothing_that_was_acknowledged(
    library: Path, scratch: Path, rng: random.Random
):
    """A worker whose memtables fill; it is stopped in order and started again."""
    for turn in range(TURNS):
        place = recorder(library, scratch / f"{turn}", rng)
        recording = asyncio.run(record_worker(place, rng, WRITES))
        series = Series(recording, scratch / f"{turn}", rng, rng.choice([*Names]))
        wrong = series.wrong(choose_cuts(recording, CUTS_OF_WORKER, rng))
        assert not wrong, wrong
        shutil.rmtree(scratch / f"{turn}")


def test_a_power_cut_during_the_start_after_a_power_cut_loses_nothing(
    library: Path, scratch: Path, rng: random.Random
):
    for turn in range(TURNS):
        before = record_life(recorder(library, scratch / f"{turn}", rng), rng)
        for cut in choose_cuts(before, CUT_STORES, rng):
            place = scratch / f"{turn}-{cut.at}"
            place.mkdir()
            names = rng.choice([*Names])
            first = Series(before, place, rng, names)
            first.cut_once(cut, place / "data")
            recording = record_life(recorder(library, place, rng, boot=2), rng, AFTER_CUT)
            is_damaged = cut.phase == "repair"
            second = Series(
                recording, place, rng, names, ledger=first.ledger, is_damaged=is_damaged
            )
            wrong = second.wrong(choose_cuts(recording, CUTS_AFTER_CUT, rng))
            assert not wrong, (cut, wrong)
            shutil.rmtree(place)
        shutil.rmtree(scratch / f"{turn}")


# --- these tests can fail


@pytest.fixture
def short(library: Path, scratch: Path, rng: random.Random) -> Recording:
    return record_life(recorder(library, scratch, rng), rng, [("writes", "tables")])


@pytest.mark.parametrize("syncs", [Syncs.OF_FILES, Syncs.NONE])
def test_a_disk_that_ignores_syncs_loses_acknowledged_writes(
    short: Recording, scratch: Path, rng: random.Random, syncs: Syncs
):
    cuts = choose_cuts(short, 5, rng)
    wrong = Series(short, scratch, rng, syncs=syncs).wrong(cuts, [Rest.LOST])
    assert any(fault.startswith("lost") for found in wrong.values() for fault in found)
    shutil.rmtree(scratch)
    scratch.mkdir()
    assert not Series(short, scratch, rng).wrong(cuts, [Rest.LOST])
