"""Stores of every released version open, with all that is in them; a store of a newer version is left alone."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest

from peatnode.documents.content.fingerprint import fingerprint
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import digest_of
from peatnode.documents.replica.keyspace import SUMMED
from peatnode.documents.yjs.update import decode_update
from peatnode.errors import EXIT_CONFIGURATION, AskFailed, BadConfiguration
from peatnode.identity import content_key
from peatnode.ipc.messages import FollowChanges, GetDocument, GetStore, ReadBuckets, ReadState
from peatnode.model.documents import BucketEntry
from peatnode.model.feed import ChangesSeen
from tests.support.processes import SECRET, node_environment
from tests.support.releases import RELEASES, STORES, contents_of, unpack_store
from tests.support.store_node import StoreNode
from workers.store.disk.database import Database
from workers.store.disk.format import note_format, noted_format
from workers.store.disk.open import FORMAT, mark_damaged, open_store, open_to_read

pytestmark = pytest.mark.timeout(60)

SUMS = UnitSums(content_key(base64.b64decode(SECRET)))
"""Those of the nodes that are started here."""


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("release", RELEASES)
async def test_a_store_of_a_release_opens_with_all_that_is_in_it(
    tmp_path: Path, release: str, store: str
) -> None:
    unpack_store(release, store, tmp_path)
    expected = contents_of(release)[store]
    async with StoreNode(tmp_path) as node:
        assert node.store.problems == {}
        await compare(node, expected)
        await node.put("maps", "flat", b'{"written by": "this version", "l": [1]}')
        await node.put("lists", "array", b'{"l": [1, "two", {"three": [3]}, 4]}')
        changed = await node.ask(GetStore())
    async with StoreNode(tmp_path) as node:
        assert node.store.problems == {}
        again = await node.ask(GetStore())
        assert (again.root, again.sequence) == (changed.root, changed.sequence)
        assert json.loads((await node.ask(GetDocument("lists", "array"))).value)["l"][-1] == 4
    # Each version reads the formats up to its own, and refuses a store with a higher number: so the number alone
    # decides what an older version does with this store.
    assert msgpack.unpackb(dict(entries(tmp_path))[b"mformat"]) == FORMAT
    assert noted_format(tmp_path / "store") == FORMAT
    assert contents_of(release)["format"] <= FORMAT


async def compare(node: StoreNode, expected: dict[str, Any]) -> None:
    about = await node.ask(GetStore())
    assert about.sequence == expected["sequence"]
    assert list(about.quarantined) == expected["quarantined"]
    assert about.documents == len(expected["documents"])
    entries = (await node.ask(ReadBuckets(((0, 65_535),), b"", 10_000))).entries
    assert about.root == root_of(entries)
    ended = [(e.collection, e.id, e.incarnation) for e in entries if e.is_deleted]
    assert ended == [(t["collection"], t["id"], t["incarnation"]) for t in expected["tombstones"]]
    for document in expected["documents"]:
        await compare_document(node, document)
    assert await read_feed(node, expected["sequence"]) == expected["feed"]


def root_of(entries: Sequence[BucketEntry]) -> bytes:
    digest = 0
    for entry in entries:
        digest ^= digest_of(document_key(entry.collection, entry.id), entry.fingerprint)
    return digest.to_bytes(16, "big")


async def compare_document(node: StoreNode, expected: dict[str, Any]) -> None:
    name = (expected["collection"], expected["id"])
    state = await node.ask(ReadState(*name, b""))
    assert state.incarnation == expected["incarnation"]
    # that of this version, whatever it was in the release
    content_sum = state_sum(SUMS, decode_update(state.update, STATE_LIMITS))
    assert state.fingerprint == fingerprint(state.incarnation, False, content_sum)
    assert state.state_vector.hex() == expected["state_vector"]
    assert state.ended.hex() == expected["ended_vector"]
    if "value" in expected:
        found = await node.ask(GetDocument(*name))
        assert json.loads(found.value) == expected["value"]
        assert found.expires_at == expected["expires_at"]
    else:
        with pytest.raises(AskFailed) as caught:
            await node.ask(GetDocument(*name))
        assert caught.value.code == "quarantined"


async def read_feed(node: StoreNode, upto: int) -> list[list[Any]]:
    changes: list[list[Any]] = []
    stream = node.dialer.follow(FollowChanges(0))
    async for seen in stream:
        assert isinstance(seen, ChangesSeen), "the feed of an older version is still read"
        for change in seen.changes:
            named = [change.sequence, change.collection, change.id, str(change.action)]
            changes.append([*named, change.incarnation, change.origin])
        if seen.upto >= upto:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return changes


# --- another definition of fingerprints, or another key

OTHER_SECRET = base64.b64encode(hashlib.sha256(b"another").digest()).decode()


async def test_after_the_secret_has_changed_all_fingerprints_are_those_of_the_new_one(
    tmp_path: Path,
) -> None:
    unpack_store(RELEASES[-1], "stopped", tmp_path)
    expected = contents_of(RELEASES[-1])["stopped"]
    async with StoreNode(tmp_path) as node:
        root = (await node.ask(GetStore())).root
    async with StoreNode(tmp_path, PEAT_FORMATION_SECRET=OTHER_SECRET) as node:
        assert (await node.ask(GetStore())).root != root
    async with StoreNode(tmp_path) as node:
        assert (await node.ask(GetStore())).root == root
        await compare(node, expected)


KILLED = """
import os, signal, sys
from pathlib import Path
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.replica.index import resum
from workers.store.disk.open import open_store
from workers.store.upgrade import sum_anew

resum.BATCH_RECORDS = 5
opened = open_store(Path(sys.argv[1]))
left = int(sys.argv[2])

def stop():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return False

sum_anew(opened.database, UnitSums(bytes.fromhex(sys.argv[3])), lambda done: None, stop)
"""


@pytest.mark.parametrize("batches", [1, 2])
async def test_a_store_that_was_killed_while_sums_were_computed_goes_on(
    tmp_path: Path, batches: int
) -> None:
    unpack_store(RELEASES[0], "stopped", tmp_path)
    key = content_key(base64.b64decode(SECRET)).hex()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(batches), key], timeout=30, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    cursor = msgpack.unpackb(dict(entries(tmp_path))[SUMMED])[2]
    assert cursor, "it was done already"
    async with StoreNode(tmp_path) as node:
        assert node.store.problems == {}
        await compare(node, contents_of(RELEASES[0])["stopped"])
    assert msgpack.unpackb(dict(entries(tmp_path))[SUMMED])[2] == b""


# --- a newer format


def raise_format(data: Path, number: int, with_note: bool) -> None:
    """What a later version leaves behind; one that was stopped while it raised the number has no note."""
    database = Database(data / "store")
    database.write([(b"mformat", msgpack.packb(number))])
    database.sync()
    database.close()
    if with_note:
        note_format(data / "store", number)


def files(data: Path) -> dict[str, tuple[str, int]]:
    """Content and time of the last change of all files of the store."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted((data / "store").iterdir())
    }


def entries(data: Path) -> list[tuple[bytes, bytes]]:
    database = Database(data / "store", is_read_only=True)
    found = list(database.scan(b"", b"\xff"))
    database.close()
    return found


def refusal_of(data: Path) -> str:
    """The last line of a node that does not start because of its configuration."""
    node = subprocess.run(
        [str(Path(sys.executable).with_name("peatnode")), "run"],
        env=node_environment(data),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert node.returncode == EXIT_CONFIGURATION
    return node.stderr.splitlines()[-1]


def test_a_store_of_a_newer_version_is_refused_and_no_file_of_it_changes(tmp_path: Path) -> None:
    unpack_store(RELEASES[0], "killed", tmp_path)
    raise_format(tmp_path, FORMAT + 1, with_note=True)
    before = files(tmp_path)
    said = refusal_of(tmp_path)
    assert f"(format {FORMAT + 1}, this one reads {FORMAT}): run that peatnode" in said
    assert str(tmp_path / "store") in said
    assert files(tmp_path) == before


def test_a_damaged_store_of_a_newer_version_is_not_repaired(tmp_path: Path) -> None:
    """The rules of the newer version are unknown."""
    unpack_store(RELEASES[0], "killed", tmp_path)
    raise_format(tmp_path, FORMAT + 1, with_note=True)
    mark_damaged(tmp_path / "store", "a block was damaged")
    before = files(tmp_path)
    for open_it in (lambda: open_store(tmp_path), lambda: open_to_read(tmp_path, tmp_path)):
        with pytest.raises(BadConfiguration, match="run that peatnode"):
            open_it()
        assert files(tmp_path) == before


def test_a_store_of_a_newer_version_without_its_note_is_refused_and_no_entry_changes(
    tmp_path: Path,
) -> None:
    unpack_store(RELEASES[0], "killed", tmp_path)
    raise_format(tmp_path, FORMAT + 1, with_note=False)
    before = entries(tmp_path)
    assert f"(format {FORMAT + 1}, this one reads {FORMAT})" in refusal_of(tmp_path)
    assert entries(tmp_path) == before
