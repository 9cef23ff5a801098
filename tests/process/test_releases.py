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

from peatnode.errors import EXIT_CONFIGURATION, AskFailed, BadConfiguration
from peatnode.ipc.messages import FollowChanges, GetDocument, GetStore, ReadBuckets, ReadState
from peatnode.model.feed import ChangesSeen
from tests.support.processes import node_environment
from tests.support.releases import RELEASES, STORES, contents_of, unpack_store
from tests.support.store_node import StoreNode
from workers.store.disk.database import Database
from workers.store.disk.format import note_format, noted_format
from workers.store.disk.open import FORMAT, mark_damaged, open_store, open_to_read

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
    # Each version reads the formats up to its own, and refuses a store with a higher number: so the number alone
    # decides what an older version does with this store.
    assert msgpack.unpackb(dict(entries(tmp_path))[b"mformat"]) == FORMAT
    assert noted_format(tmp_path / "store") == FORMAT
    assert contents_of(release)["format"] <= FORMAT


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
