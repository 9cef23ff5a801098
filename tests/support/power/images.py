"""Real power cuts: a store writes on a file system whose device is copied at one moment, by a reflink.

`python -m tests.support.power.images PLACE OUTER INNER`, in a mount namespace of its own, as root. The device of the
file system INNER is a file in the file system OUTER, which has reflinks. What INNER has not submitted to its device
when that file is copied is not in the copy. Each copy is mounted as after a restart of the machine, and checked. All
mounts and their loop devices end with the namespace, however the process ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import subprocess
import sys
import uuid
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

from peatnode.ipc.messages import GetStore
from tests.support import seeds
from tests.support.power.check import check_store
from tests.support.power.ledger import Ledger, LedgerWriter, is_sent, phase_of
from tests.support.power.scenes import WRITERS, write_documents
from tests.support.power.trace import Event, read_trace
from tests.support.store_node import StoreNode
from tests.support.waiting import until

OUTER = {"xfs": ("mkfs.xfs", "-q", "-f", "-m", "reflink=1"), "btrfs": ("mkfs.btrfs", "-q", "-f")}
INNER = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
OUTER_BYTES, INNER_BYTES = 2 << 30, 400 << 20
"""Of sparse files. XFS needs 300 MB."""
CUTS, WRITES = 6, 1280
SHIM = "IMAGE_SHIM"
"""Names the library that is loaded into the store, if there is one."""


class MountsRefused(Exception):
    """This machine makes no loop devices, or mounts no such file systems."""


@dataclass(slots=True)
class Result:
    """What one run found, for the test that started it."""

    refused: str = ""
    acknowledged: list[int] = field(default_factory=list)
    """For each cut, the writes that were acknowledged before it."""
    tables: list[list[str]] = field(default_factory=list)
    """For each cut, the sorted files in it."""
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """For each cut that breaks a promise, what is wrong."""

    def write(self, place: Path) -> None:
        (place / "result").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, place: Path) -> Result:
        return cls(**json.loads((place / "result").read_text()))


class Machine:
    """A disk that holds a file system of the kind `inner`, and a memory that a power cut empties."""

    def __init__(self, place: Path, outer: str, inner: str) -> None:
        self._place, self._outer, self.disk = place, place / "outer", place / "disk"
        self._outer.mkdir()
        self.disk.mkdir()
        try:
            self._boot()
            self._format(place / "outer.img", OUTER_BYTES, OUTER[outer], self._outer)
            self._format(self._outer / "inner.img", INNER_BYTES, INNER[inner], self.disk)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode().strip()
            raise MountsRefused(f"{shlex.join(error.cmd)}: {said}") from error

    def _format(self, image: Path, size: int, command: tuple[str, ...], at: Path) -> None:
        with image.open("wb") as file:
            file.truncate(size)
        _run(*command, str(image))
        _run("mount", "-o", "loop", str(image), str(at))

    def _boot(self) -> None:
        """Another boot id, and an empty tmpfs where a store leaves what must not survive the machine."""
        boot_id = self._place / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        _run("mount", "--bind", str(boot_id), "/proc/sys/kernel/random/boot_id")
        _run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")

    async def copy_disk(self, name: str) -> None:
        """All that the device has at one moment."""
        command = ["cp", "--reflink=always", "inner.img", name]
        process = await asyncio.create_subprocess_exec(*command, cwd=self._outer)
        assert await process.wait() == 0

    def begin_with(self, name: str) -> None:
        """The machine starts with a copy as its disk. The file system recovers from its log."""
        _run("umount", str(self.disk))
        _run("mount", "-o", "loop", str(self._outer / name), str(self.disk))
        self._boot()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def cut_under_load(machine: Machine, trace: Path, rng: random.Random) -> None:
    """A store under load, whose memtables fill and are compacted, and the cuts. Marks say when each begins and ends."""
    ledger = LedgerWriter(trace)
    shim = {"LD_PRELOAD": os.environ[SHIM]} if SHIM in os.environ else {}
    async with StoreNode(machine.disk / "data", engine=False, **shim) as node:
        ledger.opened((await node.ask(GetStore())).generation)
        _run("sync", "-f", str(machine.disk))
        async with asyncio.TaskGroup() as writers:
            for n in range(WRITERS):
                written = write_documents(node, ledger, f"w{n}", rng, WRITES // WRITERS)
                writers.create_task(written)
            await cut_at_random(machine, ledger, rng)
    ledger.close()


async def cut_at_random(machine: Machine, ledger: LedgerWriter, rng: random.Random) -> None:
    """One cut in each of as many equal parts of the load. A write sets two marks."""
    for n in range(CUTS):
        moment = (n + rng.random()) / CUTS * 2 * WRITES
        await until(lambda moment=moment: ledger.marks >= moment, pause=0.001)
        ledger.phase(f"cut-{n}")
        await machine.copy_disk(f"cut-{n}")
        ledger.phase("write")


def check_cuts(machine: Machine, events: list[Event], result: Result) -> None:
    """What was acknowledged before a copy began must be in it; what was sent before it ended may be."""
    ledger, done = Ledger(), 0
    for n in range(CUTS):
        begun = next(at for at, event in enumerate(events) if phase_of(event) == f"cut-{n}")
        ended = next(at for at in range(begun, len(events)) if phase_of(events[at]) == "write")
        ledger.add(events[done:begun])
        done, before = begun, deepcopy(ledger)
        before.add(event for event in events[begun:ended] if is_sent(event))
        machine.begin_with(f"cut-{n}")
        data = machine.disk / "data"
        result.acknowledged.append(before.acknowledged)
        result.tables.append(sorted(table.stem for table in data.glob("store/*.sst")))
        if wrong := check_store(data, before):
            result.wrong[f"cut-{n}"] = wrong


def main() -> None:
    place, outer, inner = Path(sys.argv[1]), *sys.argv[2:]
    result, trace = Result(), place / "trace"
    try:
        machine = Machine(place, outer, inner)
    except MountsRefused as error:
        result.refused = str(error)
    else:
        asyncio.run(cut_under_load(machine, trace, seeds.generator("images")))
        check_cuts(machine, read_trace(trace), result)
    result.write(place)


if __name__ == "__main__":
    main()
