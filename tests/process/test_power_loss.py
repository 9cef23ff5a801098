"""Power cuts: what stores did to their files is recorded, and the power is cut at many points of it.

A cut keeps what was synced, and of the rest whatever the seed decides: nothing, all of it, or parts of files and names.
Then the store is opened as its worker opens it. `PEAT_POWER_CUTS` sets the number of cuts.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.power.check import check_store
from tests.support.power.cut import Rest, cut_power
from tests.support.power.disk import Disk, Names, Syncs
from tests.support.power.ledger import Ledger
from tests.support.power.recorder import Recorder, compiled_recorder
from tests.support.power.scenes import phases, record_life, record_worker
from tests.support.power.trace import Event, EventKind

pytestmark = pytest.mark.timeout(0 if "PEAT_POWER_CUTS" in os.environ else 120)

CUTS = int(os.environ.get("PEAT_POWER_CUTS", "100"))
CUTS_OF_A_TRACE = 50
WRITES = 1600
SHARES = {"start": 3, "repair": 4, "compaction": 4, "stop": 2, "write": 3}
"""How many of the cuts happen while the store does what."""
EVERYTHING = tuple(Rest)
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


def chosen(events: Sequence[Event], count: int, rng: random.Random) -> list[tuple[int, str]]:
    """Numbers of events before which the power is cut, and what the store was doing, by the shares."""
    places: dict[str, list[int]] = {}
    for n, phase in enumerate(phases(events)):
        if events[n].kind is not EventKind.MARKED:
            places.setdefault(phase, []).append(n)
    drawn = rng.choices([*places], [SHARES[phase] for phase in places], k=count)
    return sorted((rng.choice(places[phase]), phase) for phase in drawn)


def cut_often(
    events: Sequence[Event],
    cuts: Sequence[tuple[int, str]],
    scratch: Path,
    rng: random.Random,
    names: Names,
    syncs: Syncs = Syncs.ALL,
    rests: Sequence[Rest] = EVERYTHING,
) -> dict[str, list[str]]:
    """For each cut that breaks a promise, what is wrong."""
    disk, ledger, done = Disk(names, syncs), Ledger(), 0
    wrong: dict[str, list[str]] = {}
    for n, (at, phase) in enumerate(cuts):
        disk.replay(events[done:at])
        ledger.add(events[done:at])
        done, rest, data = at, rng.choice(rests), scratch / f"cut-{n}"
        cut_power(disk, data, rest, rng, names)
        may_be = phase == "repair" or lacks_manifest(data)
        found = check_store(data, ledger, may_be_damaged=may_be)
        if found:
            wrong[f"before event {at} ({phase}), the rest is {rest.value}"] = found
        shutil.rmtree(data)
    return wrong


def lacks_manifest(data: Path) -> bool:
    """Whether the disk has kept the name of CURRENT without that of the file in it, which is older.

    RocksDB relies on the order of both. File systems keep it; POSIX does not promise it. Then nothing is lost, but the
    store repairs what it takes for damage.
    """
    try:
        return not (data / "store" / (data / "store/CURRENT").read_text().strip()).exists()
    except FileNotFoundError:
        return False


def test_a_power_cut_loses_nothing_that_was_acknowledged(
    library: Path, scratch: Path, rng: random.Random
):
    for turn in range(max(1, CUTS // CUTS_OF_A_TRACE // 2)):
        for record in (life, worker):
            place = scratch / f"{record.__name__}-{turn}"
            place.mkdir()
            events = record(Recorder(library, place / "data", place / "trace"), rng)
            cuts = chosen(events, CUTS_OF_A_TRACE, rng)
            names = rng.choice([*Names])
            wrong = cut_often(events, cuts, place, rng, names)
            assert not wrong, (names, wrong)
            shutil.rmtree(place)


def life(recorder: Recorder, rng: random.Random) -> list[Event]:
    return record_life(recorder, rng)


def worker(recorder: Recorder, rng: random.Random) -> list[Event]:
    return asyncio.run(record_worker(recorder, rng, WRITES))


# --- these tests can fail


@pytest.mark.parametrize("syncs", [Syncs.OF_FILES, Syncs.NONE])
def test_a_disk_that_ignores_syncs_loses_acknowledged_writes(
    library: Path, scratch: Path, rng: random.Random, syncs: Syncs
):
    recorder = Recorder(library, scratch / "data", scratch / "trace")
    events = record_life(recorder, rng, [("writes", "tables")])
    cuts = chosen(events, 5, rng)
    wrong = cut_often(events, cuts, scratch, rng, Names.STRICT, syncs, [Rest.LOST])
    assert any(fault.startswith("lost") for found in wrong.values() for fault in found)
    assert not cut_often(events, cuts, scratch, rng, Names.STRICT, Syncs.ALL, [Rest.LOST])
