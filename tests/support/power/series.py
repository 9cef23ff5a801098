"""A series of cuts along one recording: the disk is replayed once, and the power is cut at each chosen point of it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.power.check import check_store
from tests.support.power.cut import Rest, cut_power
from tests.support.power.disk import Names, Syncs
from tests.support.power.ledger import Ledger
from tests.support.power.recorder import Recording
from tests.support.power.scenes import phases
from tests.support.power.trace import EventKind

SHARES = {"start": 4, "repair": 5, "compaction": 4, "stop": 2, "checkpoint": 2, "write": 4}
"""How many of the cuts happen while the store does what."""


@dataclass(frozen=True, slots=True)
class Cut:
    at: int
    """The number of the event before which the power is cut."""
    phase: str


def choose_cuts(recording: Recording, count: int, rng: random.Random) -> list[Cut]:
    """By the shares of the phases that the recording has."""
    places: dict[str, list[int]] = {}
    for n, phase in enumerate(phases(recording.events)):
        if recording.events[n].kind is not EventKind.MARKED:
            places.setdefault(phase, []).append(n)
    drawn = rng.choices([*places], [SHARES[phase] for phase in places], k=count)
    return sorted((Cut(rng.choice(places[phase]), phase) for phase in drawn), key=lambda c: c.at)


@dataclass(slots=True)
class Series:
    """`ledger` has what was written before the recording. Nothing is left in `scratch` but the cuts that failed.

    Damage is reported only by a store that was damaged: `is_damaged`, or the phase `repair`.
    """

    recording: Recording
    scratch: Path
    rng: random.Random
    names: Names = Names.STRICT
    syncs: Syncs = Syncs.ALL
    ledger: Ledger = field(default_factory=Ledger)
    is_damaged: bool = False

    def wrong(
        self, cuts: Sequence[Cut], rests: Sequence[Rest] = tuple(Rest)
    ) -> dict[str, list[str]]:
        """For each cut that breaks a promise, what is wrong."""
        disk, done = self.recording.disk(self.names, self.syncs), 0
        wrong: dict[str, list[str]] = {}
        for n, cut in enumerate(cuts):
            disk.replay(self.recording.events[done : cut.at])
            self.ledger.add(self.recording.events[done : cut.at])
            done, rest, state = cut.at, self.rng.choice(rests), self.rng.getstate()
            data = self.scratch / f"cut-{n}"
            cut_power(disk, data, rest, self.rng, self.names)
            is_damaged = self.is_damaged or cut.phase == "repair" or lacks_manifest(data)
            found = check_store(data, self.ledger, is_damaged)
            shutil.rmtree(data)
            if found:
                wrong[
                    f"{data}: before {cut}, the rest is {rest.value}, names {self.names.value}"
                ] = found
                self.rng.setstate(state)
                cut_power(disk, data, rest, self.rng, self.names)
        return wrong

    def cut_once(self, cut: Cut, into: Path) -> None:
        """Leaves what a power cut leaves, for another recording. The ledger has what was written until then."""
        disk = self.recording.disk(self.names, self.syncs)
        disk.replay(self.recording.events[: cut.at])
        self.ledger.add(self.recording.events[: cut.at])
        cut_power(disk, into, Rest.MIXED, self.rng, self.names)


def lacks_manifest(data: Path) -> bool:
    """Whether the disk has kept the name of CURRENT without that of the file in it, which is older.

    RocksDB relies on the order of both. File systems keep it; POSIX does not promise it. Then nothing is lost, but the
    store repairs what it takes for damage.
    """
    try:
        return not (data / "store" / (data / "store/CURRENT").read_text().strip()).exists()
    except FileNotFoundError:
        return False
