"""What a store promises when its disk fails: real files that are damaged, and system calls that fail.

The calls of the store's process go through a small library that a test compiles and puts before the C library. A call
fails while there is a file of its name in the directory of faults: that holds the error's number and the end of the
names of the files that are concerned.
"""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pycrdt
import pytest

from peatnode.documents.replica.keyspace import RECORD, TREE, after
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.messages import (
    ApplyUpdates,
    FollowChanges,
    GetDocument,
    GetStore,
    KeepMembership,
    ListDocuments,
    ReadBuckets,
    ReadMembership,
    ReadRange,
    StoreReply,
)
from peatnode.model.members import RememberedPeer
from tests.support import seeds
from tests.support.interposer import compiled
from tests.support.nodes import Node, nodes
from tests.support.store_files import until_merged
from tests.support.store_node import StoreNode
from tests.support.waiting import until, wait
from workers.broker.http.counters import SHARED_VARIABLE, share_counters
from workers.engine.crash_guard import CrashMarker
from workers.store.disk.database import Database

pytestmark = pytest.mark.timeout(60)

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *call, int fd) {
    const char *faults = getenv("DISK_FAULTS");
    char path[4096], link[64], name[4096], end[64];
    int number = 0, kept = errno;
    if (!faults) return 0;
    snprintf(path, sizeof path, "%s/%s", faults, call);
    FILE *file = access(path, R_OK) ? NULL : fopen(path, "r");
    errno = kept;
    if (!file) return 0;
    int read = fscanf(file, "%d %63s", &number, end);
    fclose(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    errno = kept;
    if (read < 2 || length < (ssize_t)strlen(end)) return 0;
    name[length] = 0;
    if (strcmp(name + length - strlen(end), end)) return 0;
    errno = number;
    return 1;
}
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fdatasync(int fd) { REAL(fdatasync); return fails("fdatasync", fd) ? -1 : real(fd); }
int fsync(int fd) { REAL(fsync); return fails("fsync", fd) ? -1 : real(fd); }
ssize_t write(int fd, const void *data, size_t size) {
    REAL(write); return fails("write", fd) ? -1 : real(fd, data, size);
}
ssize_t pread(int fd, void *data, size_t size, off_t at) {
    REAL(pread); return fails("pread", fd) ? -1 : real(fd, data, size, at);
}
ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    REAL(pread64); return fails("pread", fd) ? -1 : real(fd, data, size, at);
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(SHIM, tmp_path_factory.mktemp("shim"), "faults")


class Faults:
    """Which calls fail. `env` is for the process that they fail in."""

    def __init__(self, directory: Path, shim: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.env = {"LD_PRELOAD": str(shim), "DISK_FAULTS": str(directory)}

    def begin(self, call: str, number: int, end: str) -> None:
        part = self._directory / "part"
        part.write_text(f"{number} {end}\n")
        part.rename(self._directory / call)

    def end(self, call: str) -> None:
        (self._directory / call).unlink()


@pytest.fixture
def faults(tmp_path: Path, shim: Path) -> Faults:
    return Faults(tmp_path / "faults", shim)


REMEMBER = KeepMembership(
    (RememberedPeer("a.mesh", "ab" * 16, (), "", 1.0, 2.0, 0.0, b"", -1),), (), (), ()
)
FORGET = KeepMembership((), ("a.mesh",), (), ())


async def has(value: object) -> bool:
    return bool(value)


async def read(node: StoreNode, document: str) -> Any:
    return json.loads((await node.ask(GetDocument("c", document))).value)


async def code_of(asked: Awaitable[object]) -> str:
    with pytest.raises(AskFailed) as caught:
        await asked
    return str(caught.value.code)


async def accepts(node: StoreNode) -> bool:
    try:
        return bool((await node.put("c", "new", b"{}")).sequence)
    except (AskFailed, LinkLost, AskTimedOut):
        return False


# --- system calls


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_a_log_that_cannot_be_synced_acknowledges_nothing_and_is_waited_for(
    tmp_path: Path, faults: Faults, number: int
):
    async with StoreNode(tmp_path / "data", **faults.env) as node:
        for n in range(20):
            await node.put("c", f"kept-{n}", b'{"n":%d}' % n)
        faults.begin("fdatasync", number, ".log")
        writes = [node.put("c", f"lost-{n}", b'{"n":1}') for n in range(5)]
        reads = [read(node, f"lost-{n}") for n in range(5)]
        outcomes = await asyncio.gather(*writes, *reads, return_exceptions=True)
        assert all(isinstance(outcome, AskFailed | LinkLost) for outcome in outcomes), outcomes
        await until(lambda: has("storage" in node.store.problems))
        problem = node.store.problems["storage"]
        assert problem.blocks_readiness
        assert os.strerror(number) in problem.message
        assert ("Free some space" in problem.advice) == (number == errno.ENOSPC)
        deaths = len(node.store.exits)
        assert deaths == 1
        faults.end("fdatasync")
        await node.store.wait_ready()
        assert len(node.store.exits) == deaths
        assert "storage" not in node.store.problems
        for n in range(20):
            assert await read(node, f"kept-{n}") == {"n": n}
        await node.put("c", "after", b"{}")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_a_batch_that_cannot_be_written_is_refused_and_reads_go_on(
    tmp_path: Path, faults: Faults, number: int
):
    async with StoreNode(tmp_path / "data", **faults.env) as node:
        await node.put("c", "kept", b'{"a":1}')
        await node.ask(REMEMBER)
        faults.begin("write", number, ".log")
        assert await code_of(node.put("c", "kept", b'{"a":2}')) == "storage"
        assert await code_of(node.put("c", "new", b"{}")) == "storage"
        assert await code_of(node.ask(FORGET)) == "storage"
        assert (await node.ask(ReadMembership())).peers == REMEMBER.peers
        problem = node.store.problems["storage"]
        assert problem.blocks_readiness
        assert ("Free some space" in problem.advice) == (number == errno.ENOSPC)
        assert await read(node, "kept") == {"a": 1}
        assert await code_of(read(node, "new")) == "not_found"
        assert not (await node.ask(GetStore())).is_writable
        faults.end("write")
        await until(lambda: accepts(node))
        await until(lambda: has("storage" not in node.store.problems))
        assert (await node.ask(ReadMembership())).peers == REMEMBER.peers
        await node.ask(FORGET)
        assert (await node.ask(ReadMembership())).peers == ()
        assert set(node.store.exits) <= {0}
        assert await read(node, "kept") == {"a": 1}


async def test_what_cannot_be_read_is_refused_by_itself_and_passes(tmp_path: Path, faults: Faults):
    """The documents are larger than the cache of the database, because the start has read all of them."""
    async with StoreNode(tmp_path / "data") as node:
        bodies = [b'{"x":"%s"}' % os.urandom(1900).hex().encode() for _ in range(2000)]
        await asyncio.gather(*(node.put("c", f"d{n:04}", body) for n, body in enumerate(bodies)))
    async with StoreNode(tmp_path / "data", **faults.env) as node:
        await until_merged(tmp_path / "data" / "store")
        # what says where things are is read already
        assert await code_of(read(node, "zzz")) == "not_found"
        faults.begin("pread", errno.EIO, ".sst")
        new = node.put("c", "zzz", b'{"a":1}')
        old = [node.put("c", f"d{n:04}", b'{"a":1}') for n in (50, 150)]
        outcomes = await asyncio.gather(*old, new, return_exceptions=True)
        assert [getattr(outcome, "code", "") for outcome in outcomes[:2]] == ["storage"] * 2
        assert not isinstance(outcomes[2], BaseException), "who needs none of it was refused, too"
        assert await code_of(read(node, "d0060")) == "storage"
        assert await code_of(node.ask(ListDocuments("c", "", 1000, 10**7))) == "storage"
        assert await read(node, "zzz") == {"a": 1}
        assert node.store.problems["damage"].blocks_readiness
        stream = node.dialer.follow(FollowChanges(0))
        told = asyncio.ensure_future(anext(stream))
        faults.end("pread")
        assert (await told).changes[0].sequence == 1
        await stream.aclose()  # type: ignore[attr-defined]
        assert len((await node.ask(ListDocuments("c", "", 1000, 10**7))).documents) == 1000
        assert (await node.put("c", "d0050", b'{"a":1}')).was_changed
        await until(lambda: has("damage" not in node.store.problems))
        assert node.store.exits == []


@contextlib.contextmanager
def small_disk(tmp_path: Path, option: str) -> Iterator[Path]:
    """A file system of its own, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill_space(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", 0) as ballast:
        while True:
            ballast.write(bytes(4096))


def fill_inodes(disk: Path) -> None:
    (disk / "ballast").mkdir()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (disk / "ballast" / str(number)).touch()


def free(disk: Path) -> None:
    ballast = disk / "ballast"
    shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()


FULL: dict[str, tuple[str, Callable[[Path], None], str, str]] = {
    "space": ("size=24m", fill_space, "the disk is full", "Free some space"),
    "inodes": ("size=24m,nr_inodes=60", fill_inodes, "no inodes are left", "remove files from it"),
}


@pytest.mark.parametrize("lack", FULL)
async def test_a_store_that_starts_on_a_full_disk_answers_reads(tmp_path: Path, lack: str):
    option, fill, reason, advice = FULL[lack]
    with small_disk(tmp_path, option) as disk:
        async with StoreNode(disk) as node:
            for n in range(20):
                await node.put("c", f"d{n}", b'{"n":%d}' % n)
            await node.ask(REMEMBER)
            fill(disk)
            node.store.kill()
            await node.store.wait_ready()
            assert [await read(node, f"d{n}") for n in range(20)] == [{"n": n} for n in range(20)]
            assert await code_of(node.put("c", "new", b"{}")) == "storage"
            assert await code_of(node.put("c", "d1", b"{}")) == "storage"
            assert (await node.ask(ReadMembership())).peers == REMEMBER.peers
            assert await code_of(node.ask(FORGET)) == "storage"
            problem = node.store.problems["storage"]
            assert problem.blocks_readiness
            assert reason in problem.message
            assert advice in problem.advice
            free(disk)
            await until(lambda: accepts(node))
            assert "storage" not in node.store.problems
            assert [await read(node, f"d{n}") for n in range(20)] == [{"n": n} for n in range(20)]
            assert sorted(set(node.store.exits)) == [-9, 0]


async def test_a_value_that_a_read_only_disk_does_not_have_is_computed_for_each_read(
    tmp_path: Path,
):
    """The store ended before the engine had computed it."""
    doc: Any = pycrdt.Doc(client_id=3)
    doc.get("root", type=pycrdt.Map)["/text"] = pycrdt.Text("only the engine reads it")
    with small_disk(tmp_path, "size=24m") as disk:
        async with StoreNode(disk, engine=False) as node:
            await node.apply("d", doc.get_update())
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        async with StoreNode(disk) as node:
            for _ in range(2):
                assert await read(node, "d") == {"text": None}  # a nested text is no JSON
            assert await code_of(node.put("c", "d", b"{}")) == "storage"
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            await until(lambda: accepts(node))
            assert await read(node, "d") == {"text": None}  # a nested text is no JSON


async def test_a_run_directory_on_the_read_only_disk_does_not_end_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As when the kernel makes a disk read-only while its node runs, and a worker is replaced then."""
    with small_disk(tmp_path, "size=24m") as disk:
        (disk / "run").mkdir()
        run_dir = {"PEAT_RUN_DIR": str(disk / "run"), "TMPDIR": str(tmp_path)}
        async with StoreNode(disk, engine=False, **run_dir) as node:
            await node.put("c", "d", b'{"a":1}')
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        async with StoreNode(disk, engine=False, **run_dir) as node:
            assert await read(node, "d") == {"a": 1}
            assert "the disk is read-only" in node.store.problems["storage"].message
            assert list(tmp_path.glob("peatnode-reading-*"))
        assert not list(tmp_path.glob("peatnode-reading-*"))
        # what the other workers write in the run directory when they start
        CrashMarker(disk / "run" / "engine.box").enter()
        monkeypatch.setenv(SHARED_VARIABLE, "")
        share_counters(disk / "run" / "metrics")
        metrics = Path(os.environ[SHARED_VARIABLE])
        assert metrics.is_dir()
        assert not metrics.is_relative_to(disk)
        metrics.rmdir()


async def test_a_disk_that_runs_out_of_inodes_says_so(tmp_path: Path):
    with small_disk(tmp_path, "size=64m,nr_inodes=60") as disk:
        async with StoreNode(disk) as node:
            await node.put("c", "kept", b'{"a":1}')
            fill_inodes(disk)
            large = os.urandom(400_000).hex().encode()
            for n in range(40):  # until RocksDB needs another file
                with contextlib.suppress(AskFailed):
                    await node.put("c", f"d{n}", b'{"x":"%s"}' % large)
                    continue
                break
            problem = node.store.problems["storage"]
            assert "no inodes are left on the disk" in problem.message
            assert "df -i" in problem.advice
            assert (await node.ask(GetStore())).problem == "no inodes are left on the disk"
            assert await read(node, "kept") == {"a": 1}
            free(disk)
            await until(lambda: accepts(node))
            await until(lambda: has("storage" not in node.store.problems))


# --- damaged files

SMALL, LARGE = 300, 6


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of several files and a log, of a store that was killed."""
    directory = tmp_path_factory.mktemp("template")
    asyncio.run(_fill(directory))
    return directory


async def _fill(directory: Path) -> None:
    rng = seeds.generator("contents of the damaged databases")
    for turn in range(3):
        async with StoreNode(directory, restarts=False) as node:
            text = {n: rng.randbytes(150).hex().encode() for n in range(turn * 60, SMALL)}
            for start in range(
                turn * 60, SMALL, 10
            ):  # several batches, so that the log has several entries
                await asyncio.gather(
                    *(
                        node.put("c", f"d{n:04}", b'{"turn":%d,"x":"%s"}' % (turn, text[n]))
                        for n in range(start, start + 10)
                    )
                )
            for n in range(LARGE):
                await node.put("large", f"{n}", b'{"x":"%s"}' % rng.randbytes(6000).hex().encode())
            await node.put("c", f"gone-{turn}", b"{}", expires_at=4e9)
            await node.put("c", f"gone-{turn}", b"", kind="delete")  # type: ignore[arg-type]
            if turn == 2:
                node.store.kill()
                await node.store.wait_ended()


def flip(file: Path, place: float, count: int = 1) -> None:
    damaged = bytearray(file.read_bytes())
    for at in range(int(len(damaged) * place), int(len(damaged) * place) + count):
        damaged[at] ^= 0xFF
    file.write_bytes(damaged)


def tables(store: Path) -> list[Path]:
    return sorted(store.glob("*.sst"))


def log_of(store: Path) -> Path:
    return max(store.glob("*.log"))


async def wholeness(node: StoreNode) -> StoreReply:
    """What the indexes say is what the documents are."""
    store = await node.ask(GetStore())
    entries = (await node.ask(ReadBuckets(((0, 65535),), b"", 10_000))).entries
    living = {(e.collection, e.id): e.fingerprint for e in entries if not e.is_deleted}
    listed = {}
    for collection in ("c", "large"):
        listing = await node.ask(ListDocuments(collection, "", 10_000, 10**8))
        for document in listing.documents:
            listed[collection, document.id] = document.fingerprint
            assert "x" in json.loads(document.value)
        assert listing.count == len(listing.documents)
    assert living == listed
    assert (store.documents, store.tombstones) == (len(living), len(entries) - len(living))
    return store  # type: ignore[no-any-return]


async def fetch_all(node: StoreNode, peer: StoreNode) -> None:
    tree_key = b""
    while True:
        part = await peer.ask(ReadRange(0, 65535, tree_key, 10**6))
        await node.ask(ApplyUpdates(part.updates, "a" * 32))
        tree_key = part.next_tree_key
        if not tree_key:
            return


HEADS: dict[str, Callable[[Path], object]] = {
    "no CURRENT": lambda store: (store / "CURRENT").unlink(),
    "an empty CURRENT": lambda store: (store / "CURRENT").write_bytes(b""),
    "no MANIFEST": lambda store: [file.unlink() for file in store.glob("MANIFEST*")],
    "a flipped MANIFEST": lambda store: [flip(file, 0.5) for file in store.glob("MANIFEST*")],
}


@pytest.mark.parametrize("damage", HEADS)
async def test_without_its_head_a_database_loses_nothing(
    tmp_path: Path, template: Path, damage: str
):
    data = tmp_path / "data"
    shutil.copytree(template, data)
    HEADS[damage](data / "store")
    async with StoreNode(data) as node:
        problem = node.store.problems["mended"]
        assert problem.advice
        store = await wholeness(node)
        assert (store.documents, store.tombstones) == (SMALL + LARGE, 3)
        first = (await anext(node.dialer.follow(FollowChanges(5))))  # fmt: skip
        assert type(first).__name__ == "FeedGap"
        await node.put("c", "after", b'{"x":1}')
    async with StoreNode(data) as node:
        assert node.store.problems == {}
        again = await wholeness(node)
        assert (again.documents, again.generation) == (SMALL + LARGE + 1, store.generation)


BODIES: dict[str, tuple[Callable[[Path], object], int]] = {
    "a table is missing": (lambda store: tables(store)[0].unlink(), 0),
    "a table is cut": (lambda store: os.truncate(tables(store)[-1], 5000), 0),
    "a log's byte is flipped": (lambda store: flip(log_of(store), 0.3), SMALL - 120),
    "a log is cut": (lambda store: os.truncate(log_of(store), 20_000), SMALL - 120),
    "blocks of records are flipped": (
        lambda store: [flip(table, 0.2) for table in tables(store)],
        SMALL - 130,
    ),
    "blocks all over are flipped": (
        lambda store: [flip(table, tenth / 10) for table in tables(store) for tenth in range(9)],
        20,
    ),
    "the list of what is in a table is flipped": (
        lambda store: [
            flip(table, 1 - 3000 / table.stat().st_size, 2900) for table in tables(store)
        ],
        0,
    ),
}


@pytest.mark.parametrize("damage", BODIES)
async def test_what_the_disk_destroyed_is_said_and_comes_back_from_peers(
    tmp_path: Path, template: Path, damage: str
):
    shutil.copytree(template, tmp_path / "data")
    shutil.copytree(template, tmp_path / "peer")
    do, least = BODIES[damage]
    do(tmp_path / "data" / "store")
    async with (
        StoreNode(tmp_path / "data") as node,
        StoreNode(tmp_path / "peer", engine=False) as peer,
    ):

        async def is_repaired() -> bool:
            """A read of everything finds the damage, and the store repairs it at its next start."""
            try:
                await node.ask(ListDocuments("c", "", 10_000, 10**8))
                await wholeness(node)
            except (AskFailed, LinkLost):
                return False
            return "mended" in node.store.problems

        await until(is_repaired)
        assert set(node.store.exits) <= {0}
        assert node.store.problems["mended"].advice
        left = await wholeness(node)
        assert left.documents >= least
        await fetch_all(node, peer)
        theirs, ours = await peer.ask(GetStore()), await wholeness(node)
        assert (ours.root, ours.documents) == (theirs.root, theirs.documents)
        assert (await node.put("c", "d0100", b'{"x":2}')).was_changed


async def test_a_repair_survives_the_loss_of_a_table_and_of_the_newest_log(
    tmp_path: Path, template: Path
):
    """What was repaired only in the log was lost with it, and the status counted documents that no read found."""
    data, store = tmp_path / "data", tmp_path / "data" / "store"
    shutil.copytree(template, data)
    shutil.copytree(template, tmp_path / "peer")
    async with StoreNode(tmp_path / "peer", engine=False) as peer:
        theirs = await peer.ask(GetStore())
        for file in store.glob("MANIFEST*"):
            flip(file, 0.1)
        async with StoreNode(data, restarts=False, engine=False) as node:
            assert "mended" in node.store.problems
            assert (await wholeness(node)).documents == SMALL + LARGE
            await killed(node)
        largest = max(tables(store), key=lambda table: table.stat().st_size)
        largest.unlink()
        async with StoreNode(data, restarts=False, engine=False) as node:
            assert "mended" in node.store.problems
            assert (await wholeness(node)).documents < SMALL + LARGE
            await fetch_all(node, peer)
            assert (await wholeness(node)).root == theirs.root
            await killed(node)
        log_of(store).unlink()
        async with StoreNode(data, restarts=False, engine=False) as node:
            found = await wholeness(node)
            assert found.root == theirs.root or "mended" in node.store.problems
            await fetch_all(node, peer)
            assert (await wholeness(node)).root == theirs.root


async def test_a_repair_survives_a_cut_in_the_middle_of_its_log(tmp_path: Path, template: Path):
    """The index was removed at the beginning of the log, and written again behind the cut."""
    data, store = tmp_path / "data", tmp_path / "data" / "store"
    shutil.copytree(template, data)
    (store / "CURRENT").unlink()
    async with StoreNode(data, restarts=False, engine=False) as node:
        repaired = await wholeness(node)
        assert repaired.documents == SMALL + LARGE
        await killed(node)
    os.truncate(log_of(store), log_of(store).stat().st_size // 2)
    async with StoreNode(data, restarts=False, engine=False) as node:
        again = await wholeness(node)
        assert (again.root, again.documents) == (repaired.root, repaired.documents)


async def killed(node: StoreNode) -> None:
    node.store.kill()
    await node.store.wait_ended()


async def test_an_index_that_differs_is_found_in_the_background_repaired_and_said(
    tmp_path: Path, template: Path
):
    data = tmp_path / "data"
    shutil.copytree(template, data)
    database = Database(data / "store")
    index = [key for key, _ in database.scan(TREE, after(TREE))]
    record = next(key for key, _ in database.scan(RECORD, after(RECORD)))
    database.write([(index[7], None), (index[8], None), (index[-1][:-1], b"x" * 17)])
    database.write([(RECORD + b"c\0copy", database.get(record))])
    database.close()
    async with StoreNode(data, engine=False) as node:
        await until(lambda: has("mended" in node.store.problems), 20)
        assert "index" in node.store.problems["mended"].message
        assert set(node.store.exits) <= {0}
        await wholeness(node)


# --- whole nodes


WAITS = "store waits for its disk"


def put(node: Node, document: str, seconds: float = 30.0) -> int:
    """The status of the answer."""
    request = urllib.request.Request(
        f"{node.url}/documents/c/{document}",
        json.dumps({"id": document}).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def advice(node: Node, problem: str) -> str:
    """What `peatnode status` on the node's sockets advises for such a problem."""
    said = subprocess.run(
        [str(Path(sys.executable).with_name("peatnode")), "status", "-o", "json"],
        env=node.environment(),
        stdout=subprocess.PIPE,
        check=False,
        timeout=20,
    )
    findings = json.loads(said.stdout)["findings"]
    return next((found["advice"] for found in findings if problem in found["message"]), "")


def test_a_node_says_what_its_disk_does_and_gets_back_what_it_lost(faults: Faults) -> None:
    with nodes(2, start=False) as (failing, peer):
        failing.settings |= faults.env
        failing.start()
        peer.start()
        for n in range(60):
            assert put(failing, f"d{n}") in (200, 201)
        wait(lambda: failing.root() == peer.root(), "the two to agree", 10)

        faults.begin("fdatasync", errno.EIO, ".log")
        assert put(failing, "refused") >= 500
        wait(lambda: advice(failing, WAITS), "the problem to be told", 10, pause=0.2)
        faults.end("fdatasync")
        wait(lambda: put(failing, "after") in (200, 201), "it to take writes again", 10)
        assert not advice(failing, WAITS)
        wait(lambda: failing.root() == peer.root(), "the two to agree", 10)

        failing.kill()
        store = failing.directory / "store"
        for file in (*tables(store), log_of(store)):
            flip(file, 0.2, file.stat().st_size // 10)
        failing.start()
        wait(lambda: failing.root() == peer.root(), "what was lost to come back", 15)
        assert "come back from the peers" in advice(failing, "has been repaired")
        for n in range(60):
            assert failing.get(f"/documents/c/d{n}")["document"] == {"id": f"d{n}"}
