"""Scenes in the life of a store, recorded from real processes."""

from __future__ import annotations

import asyncio
import posixpath
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence

from peatnode.documents.json.value import dump
from peatnode.documents.yjs.any_value import Json
from peatnode.ipc.messages import GetStore
from tests.support import seeds
from tests.support.power.ledger import LedgerWriter, phase_of
from tests.support.power.recorder import Recorder, Recording
from tests.support.power.trace import Event, EventKind
from tests.support.processes import environment
from tests.support.store_node import StoreNode

LIFE = (
    ("writes", "tables", "checkpoint", "trim", "writes"),
    (
        *("writes", "checkpoint", "restart", "tables", "repair_by_copy", "tables"),
        *("repair_in_place", "tables", "checkpoint", "writes"),
    ),
)
"""What each of the processes plays; the second one starts after the sudden end of the first."""
AFTER_CUT = (("writes", "restart", "checkpoint", "writes"),)
"""What is played on the files that a power cut has left."""
WRITERS = 16
LARGE, SMALL = 6_000, 40


def record_life(
    recorder: Recorder, rng: random.Random, scenes: Iterable[Sequence[str]] = LIFE
) -> Recording:
    """The scenes of `writer.py`: quick and small."""
    command = [sys.executable, "-m", "tests.support.power.writer", str(recorder.root)]
    for played in scenes:
        seed = {seeds.VARIABLE: str(rng.getrandbits(32))}
        subprocess.run([*command, *played], env=environment(**recorder.env, **seed), check=True)
    return recorder.recording()


async def record_worker(recorder: Recorder, rng: random.Random, writes: int) -> Recording:
    """A store worker under load, whose memtables fill; an orderly stop, and another start."""
    ledger = LedgerWriter(recorder.trace)
    for count in (writes, writes // 10):
        ledger.phase("start")
        async with StoreNode(recorder.root, engine=False, **recorder.env) as node:
            ledger.opened((await node.ask(GetStore())).generation)
            ledger.phase("write")
            await asyncio.gather(
                *(
                    write_documents(node, ledger, f"w{n}", rng, count // WRITERS)
                    for n in range(WRITERS)
                )
            )
            ledger.phase("stop")
    ledger.close()
    return recorder.recording()


async def write_documents(
    node: StoreNode, ledger: LedgerWriter, collection: str, rng: random.Random, count: int
) -> None:
    """One writer, with a collection of its own; most of its documents are large."""
    for _ in range(count):
        name = (collection, f"d{rng.randrange(count)}")
        size = LARGE if rng.random() < 0.7 else SMALL
        value: Json = {"at": rng.getrandbits(40), "x": rng.randbytes(size).hex()}
        ledger.sent(name, value)
        await node.put(*name, dump(value))
        ledger.acknowledged(name, value)


def phases(events: Sequence[Event]) -> list[str]:
    """For each event what the store was doing: the phase that the scene has set, or `compaction`.

    A flush or a compaction lasts from the first of its tables until the manifest names them.
    """
    found: list[str] = []
    phase, is_compacting = "", False
    manifests: set[int] = set()
    for event in events:
        phase, before = phase_of(event) or phase, phase
        is_compacting = is_compacting and phase == before
        name = posixpath.basename(event.path)
        if event.kind is EventKind.OPENED and name.startswith("MANIFEST"):
            manifests.add(event.inode)
        elif event.kind is EventKind.OPENED:
            manifests.discard(event.inode)
        if event.kind is EventKind.OPENED and name.endswith(".sst") and phase == "write":
            is_compacting = True
        found.append("compaction" if is_compacting else phase)
        if event.kind is EventKind.SYNC_ENDED and event.inode in manifests:
            is_compacting = False
    return found
