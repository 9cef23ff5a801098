"""Stores of every released version open, with all that is in them; a store of a newer version is left alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest

from peatnode.errors import EXIT_CONFIGURATION, AskFailed
from peatnode.ipc.messages import FollowChanges, GetDocument, GetStore, ReadBuckets, ReadState
from peatnode.model.feed import ChangesSeen
from tests.support.processes import node_environment
from tests.support.releases import RELEASES, STORES, contents_of, unpack_store
from tests.support.store_node import StoreNode
from workers.store.disk.database import Database
from workers.store.disk.open import FORMAT

pytestmark = pytest.mark.timeout(60)


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


async def compare(node: StoreNode, expected: dict[str, Any]) -> None:
    about = await node.ask(GetStore())
    assert about.root.hex() == expected["root"]
    assert about.sequence == expected["sequence"]
    assert list(about.quarantined) == expected["quarantined"]
    assert about.documents == len(expected["documents"])
    entries = (await node.ask(ReadBuckets(0, 65_535, b"", 10_000))).entries
    ended = [(e.collection, e.id, e.incarnation) for e in entries if e.is_deleted]
    assert ended == [(t["collection"], t["id"], t["incarnation"]) for t in expected["tombstones"]]
    for document in expected["documents"]:
        await compare_document(node, document)
    assert await read_feed(node, expected["sequence"]) == expected["feed"]


async def compare_document(node: StoreNode, expected: dict[str, Any]) -> None:
    name = (expected["collection"], expected["id"])
    state = await node.ask(ReadState(*name, b""))
    assert state.incarnation == expected["incarnation"]
    assert state.fingerprint.hex() == expected["fingerprint"]
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


# --- a newer format


def raised(data: Path, number: int) -> None:
    """What a later version would write into the store."""
    database = Database(data / "store")
    database.write([(b"mformat", msgpack.packb(number))])
    database.flush()
    database.sync()
    database.close()


def digests(data: Path) -> dict[str, str]:
    """Content of all files of the documents; RocksDB's log for people may change."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((data / "store").rglob("*"))
        if path.suffix in (".sst", ".log") and path.stat().st_size
    }


def test_a_store_of_a_newer_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    unpack_store(RELEASES[0], "stopped", tmp_path)
    raised(tmp_path, FORMAT + 1)
    before = digests(tmp_path)
    assert before
    for _ in range(2):
        node = subprocess.run(
            [str(Path(sys.executable).with_name("peatnode")), "run"],
            env=node_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert node.returncode == EXIT_CONFIGURATION
        said = node.stderr.splitlines()[-1]
        assert f"format {FORMAT + 1}, this one reads {FORMAT}" in said
        assert "run that peatnode" in said
        assert digests(tmp_path) == before


@pytest.mark.parametrize("release", RELEASES)
async def test_an_older_version_would_refuse_a_store_that_this_one_raised(
    tmp_path: Path, release: str
) -> None:
    """The rule of the check of each version: it reads the formats up to its own, and refuses a higher one."""
    unpack_store(release, "stopped", tmp_path)
    async with StoreNode(tmp_path) as node:
        await node.put("maps", "flat", b"{}")
    database = Database(tmp_path / "store", is_read_only=True)
    stored = database.get(b"mformat")
    database.close()
    assert stored is not None
    assert msgpack.unpackb(stored) == FORMAT, "the store is of the format that this version writes"
    reads = contents_of(release)["format"]
    assert (reads < FORMAT) == (msgpack.unpackb(stored) > reads)
