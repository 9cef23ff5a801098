"""A store whose files are damaged while it is closed, beside a healthy peer: what it reports, and what becomes of it.

A template is written once: the data directory of a closed or killed store, its commit witness, and the documents that
a peer has received from it. A case copies the template to the place where it was written, so that the witness stands
for it, damages files, opens the store as the worker does, and exchanges documents with a copy of the peer.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from peatnode.documents.json.root_maps import read
from peatnode.documents.json.value import build
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.keyspace import EXPIRY, after
from peatnode.documents.replica.reads import bucket_entries, missing_update, wanted_of
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import unpack_snapshot
from peatnode.documents.replica.write_batch import expiry_key
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.structs import ANY
from peatnode.errors import StorageFailed
from peatnode.model.documents import Outcome
from peatnode.model.members import KeepMembership, RememberedPeer
from tests.support import store_files
from tests.support.member_notes import MemberNotes
from tests.support.memory_kv import MemoryKeyValue
from tests.support.memory_kv import commit as commit_to_memory
from workers.store.disk.generation import client_id
from workers.store.disk.health import DiskHealth
from workers.store.disk.open import OpenedStore, mark_for_repair, open_store
from workers.store.peers.members import KeptMembers
from workers.store.scrub import ScrubPass

NODE, PEER = "node-a", 77
ENDED_BOUNDS = EndedBounds(1e6, 1 << 30)
MAX_OPENINGS = 6
BATCH = 25
"""Cases of one test."""
BATCHES = range(int(os.environ.get("PEAT_DAMAGES", "250")) // BATCH)

Fingerprints = dict[bytes, bytes]


@dataclass
class Template:
    """What a case starts from."""

    image: Path
    """The data directory, and beside it the directory of the witness."""
    entries: dict[bytes, bytes]
    """The database of the peer."""
    fingerprints: Fingerprints
    generation: int
    peers: frozenset[str]
    """Names of the peers that are remembered."""


class Place:
    """The directories of one store. Every template of a place is written at the same path."""

    def __init__(self, directory: Path) -> None:
        self.data, self.run = directory / "data", directory / "run"
        self.images = directory / "images"
        self.images.mkdir()

    @property
    def store(self) -> Path:
        return self.data / "store"

    def clear(self) -> None:
        for directory in (self.data, self.run):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()

    def restore(self, template: Template) -> None:
        for directory in (self.data, self.run):
            shutil.rmtree(directory, ignore_errors=True)
            shutil.copytree(template.image / directory.name, directory)


class Writer:
    """Writes the documents of a template."""

    def __init__(self, place: Place, rng: random.Random) -> None:
        place.clear()
        self.place, self.rng = place, rng
        self.opened = open_store(place.data, place.run)
        self.database = self.opened.database
        self.generation = self.opened.choice.generation
        self.replica = Replica(self.database, client_id(NODE, self.generation))
        self.ended = EndedContents(self.replica, ENDED_BOUNDS, time.time, time.monotonic)
        self.counter = 0
        self.peers: set[str] = set()
        """Names of the peers that are remembered."""

    def commit(self) -> None:
        store_files.commit(self.replica, self.database)
        self.opened.witness.note(self.replica.sequence)

    def write(self, count: int) -> None:
        """Some changes of every kind, in batches of one to four."""
        for number in range(count):
            self._write_one()
            if self.rng.random() < 0.1:
                self._remember_peer()
            if number % self.rng.randint(1, 4) == 0:
                self.commit()
        self.commit()

    def _remember_peer(self) -> None:
        name = f"n{len(self.peers)}"
        peer = RememberedPeer(name, "", (), "", 0.0, 1.0, 0.0, self.rng.randbytes(16), -1)
        KeptMembers(self.replica, MemberNotes()).keep(KeepMembership((peer,), (), (), ()))
        self.peers.add(name)

    def _write_one(self) -> None:
        rng, replica = self.rng, self.replica
        self.counter += 1
        name = f"d{rng.randrange(90):03}"
        key = document_key("c", name)
        record = replica.live(key)
        size = 3000 if name < "d012" else rng.randrange(20, 200)
        if record is None:
            expires = 4e9 + self.counter if rng.random() < 0.2 else None
            text = rng.randbytes(size).hex()
            store_files.put(replica, name, {"x": text, "n": 0}, expires_at=expires)
        elif rng.random() < 0.1:
            replica.delete(key)
        elif rng.random() < 0.15:
            replica.compact(key)
        else:
            store_files.change_key(replica, name, self.counter)

    def killed(self, name: str, write_more: Callable[[], object] | None = None) -> Template:
        """The template of the store as it is now, killed; with `write_more`, while it flushed the first of two logs."""
        image = self.place.images / name
        if write_more is None:
            store_files.copy_of_killed(self.place.store, image / "data" / "store")
        else:
            store_files.kill_with_two_logs(self.database, write_more, image / "data" / "store")
        return self._template(image)

    def closed(self, name: str) -> Template:
        """The template of the store after an orderly stop. Nothing can be written afterwards."""
        self.database.flush()
        self.database.sync()
        peer = _peer_of(self.replica)
        self.opened.close()
        image = self.place.images / name
        shutil.copytree(self.place.store, image / "data" / "store")
        return self._template(image, peer)

    def _template(self, image: Path, peer: MemoryKeyValue | None = None) -> Template:
        shutil.copytree(self.place.run, image / "run")
        peer = peer or _peer_of(self.replica)
        return Template(
            image,
            peer.entries,
            fingerprints_of(Replica(peer, PEER)),
            self.generation,
            frozenset(self.peers),
        )


def _peer_of(replica: Replica) -> MemoryKeyValue:
    """The database of a peer that has received every document."""
    kv = MemoryKeyValue()
    peer = Replica(kv, PEER)
    _pull(peer, replica)
    commit_to_memory(peer)
    assert peer.tree.root == replica.tree.root
    return kv


def fingerprints_of(replica: Replica) -> Fingerprints:
    return {entry.key: entry.fingerprint for entry in bucket_entries(replica, 0, 0xFFFF, b"")}


def _pull(replica: Replica, source: Replica) -> None:
    """Joins what `replica` lacks of the documents of `source`, by the functions that answer peers."""
    ours, theirs = fingerprints_of(replica), fingerprints_of(source)
    for key in sorted(ours | theirs):
        if ours.get(key) == theirs.get(key):
            continue
        change = missing_update(source, key, *wanted_of(replica, key))
        if change is not None:
            joined = replica.join(change, "a" * 32)
            assert joined.outcome in (Outcome.APPLIED, Outcome.KNOWN, Outcome.STALE), joined


@dataclass
class _Shell:
    """What the disk's health asks of a worker."""

    problems: dict[str, str] = field(default_factory=dict)
    is_recycled: bool = False

    @property
    def log(self) -> _Shell:
        return self

    def error(self, *_: object, **__: object) -> None:
        pass

    info = error

    def raise_problem(self, name: str, message: str, *_: object, **__: object) -> None:
        self.problems[name] = message

    def clear_problem(self, name: str) -> None:
        self.problems.pop(name, None)

    def recycle(self, _: str) -> None:
        self.is_recycled = True


class DamagedStore:
    """A damaged store in operation."""

    def __init__(self, place: Place, template: Template) -> None:
        self.place, self.template = place, template
        self.reports: list[str] = []
        """Damage and lost changes that the operator was told of."""
        self.openings = 0
        self.opened: OpenedStore | None = None
        self.replica: Replica

    def open(self) -> None:
        """Opens the store until it serves, as the worker and its supervisor do."""
        while True:
            self.openings += 1
            assert self.openings <= MAX_OPENINGS, f"it does not get ready: {self.reports}"
            self.opened = opened = open_store(self.place.data, self.place.run)
            if opened.damage:
                self.reports.append(opened.damage)
            if opened.choice.missing:
                self.reports.append(f"{opened.choice.missing} changes are missing")
            self._shell = _Shell()
            self._health = DiskHealth(self._shell, opened.database, opened.repair)  # type: ignore[arg-type]
            try:
                self.replica = Replica(opened.database, client_id(NODE, opened.choice.generation))
                self.ended = EndedContents(self.replica, ENDED_BOUNDS, time.time, time.monotonic)
            except StorageFailed as error:
                self.close()
                if not mark_for_repair(opened.database.path, error, opened.repair):
                    raise
                continue
            return

    def served(self, work: Callable[[], Any]) -> Any:
        """The result of some work. If it meets damage, the store is repaired, and the work begins again."""
        while True:
            try:
                return work()
            except StorageFailed as error:
                self.reports.append(str(error))
                self._health.read_failed(error)
            assert self._shell.is_recycled, f"not repaired: {self._shell.problems}"
            self.close()
            self.open()

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
        self.opened = None

    def commit(self) -> None:
        store_files.commit(self.replica, self.opened.database)
        self.opened.witness.note(self.replica.sequence)

    def write(self, rng: random.Random) -> None:
        """Changes of this node's own to some documents that it has, and one that nobody has."""
        fingerprints = fingerprints_of(self.replica)
        for key in rng.sample(sorted(fingerprints), min(3, len(fingerprints))):
            if self.replica.live(key) is not None:
                store_files.change_key(self.replica, key.partition(b"\0")[2].decode(), "own")
        store_files.put(self.replica, f"own-{rng.randrange(10**9)}", {"x": "own"})
        self.commit()

    def exchange(self, peer: Replica) -> None:
        """Anti-entropy in both directions, until the roots are equal."""
        for _ in range(3):
            if self.replica.tree.root == peer.tree.root:
                return
            _pull(self.replica, peer)
            _pull(peer, self.replica)
            self.commit()
            commit_to_memory(peer)
        assert self.replica.tree.root == peer.tree.root, "the nodes do not become equal"

    def known_peers(self) -> set[str]:
        notes = MemberNotes()
        reply = KeptMembers(self.replica, notes).read()
        self.reports += notes.names
        return {peer.node_id for peer in reply.peers}

    def scrub(self) -> None:
        scrub = ScrubPass(self.replica)
        while not scrub.is_done:
            scrub.advance(1.0, time.monotonic)
        for snapshot in scrub.large:
            unpack_snapshot(*snapshot)

    def exchange_and_check(self, peer: Replica) -> None:
        self.exchange(peer)
        self.check_values(peer)
        self.check_ended()

    def check_ended(self) -> None:
        """What is still kept of deleted documents can be read, and all of it can be removed."""
        for name in self.ended.collections():
            for head in list(self.ended.listed(name)):
                parts = self.ended.parts(head)
                assert parts is None or read(merge_updates(parts, STATE_LIMITS)) is not None
                self.ended.remove(head.key, head.sequence)
        self.commit()

    def check_values(self, peer: Replica) -> None:
        """Content and indexes are those of the documents; the values are those of the peer."""
        assert store_files.differences(self.opened.database) == []
        expiries = set()
        for key, fingerprint in fingerprints_of(self.replica).items():
            ours, theirs = self.replica.record_on_disk(key), peer.record_on_disk(key)
            assert ours is not None
            assert theirs is not None
            assert ours.fingerprint == theirs.fingerprint == fingerprint
            assert ours.expires_at == theirs.expires_at
            if ours.expires_at:
                expiries.add(expiry_key(key, ours.expires_at))
            if not ours.is_deleted:
                assert ours.flags & DocumentFlag.HAS_VALUE
                assert _living(self.replica, key) == _living(peer, key)
                maps = read(self.replica.merged(key, ours))
                if maps is None:
                    assert ours.is_value_outdated, "the value needs the engine"
                elif not ours.is_value_outdated:
                    value = orjson.loads(self.replica.value(key, ours))
                    assert value == build(maps.shape())
        found = {key for key, _ in self.opened.database.scan(EXPIRY, after(EXPIRY))}
        assert found == expiries


def _living(replica: Replica, key: bytes) -> set[tuple[int, int, bytes]]:
    """The contents that are not deleted, with their client and clock."""
    record = replica.record_on_disk(key)
    assert record is not None
    whole = replica.merged(key, record)
    return {
        (client, struct.clock, struct.raw[struct.content_at :])
        for client, structs in whole.structs.items()
        for struct in structs
        if struct.kind == ANY and not whole.delete_set.contains(client, struct.clock)
    }


# --- damages


def flip(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    if not content:
        return truncate(file, rng)
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {at} of {len(content)} of {file.name} is flipped"


def truncate(file: Path, rng: random.Random) -> str:
    size = file.stat().st_size
    kept = rng.randrange(size) if size and rng.random() < 0.9 else 0
    os.truncate(file, kept)
    return f"{file.name} is cut from {size} to {kept} bytes"


def delete(file: Path, _: random.Random) -> str:
    file.unlink()
    return f"{file.name} is deleted"


def damage(store: Path, rng: random.Random, count: int) -> str:
    """Damages so many files. Each kind of file is equally likely, and so is each kind of damage."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted(store.iterdir()):
        kinds.setdefault(file.suffix or file.name.partition("-")[0], []).append(file)
    done = []
    for _ in range(count):
        file = rng.choice(kinds[rng.choice(sorted(kinds))])
        if file.exists():
            done.append(rng.choice((flip, flip, truncate, delete))(file, rng))
    return ", ".join(done)


def run_case(place: Place, template: Template, rng: random.Random, count: int) -> None:
    """Damages so many files of a template, and raises an error if the store fails its promise."""
    place.restore(template)
    done = damage(place.store, rng, count)
    store = DamagedStore(place, template)
    try:
        store.open()
        store.served(store.scrub)
        found = store.served(lambda: fingerprints_of(store.replica))
        lost = {
            key for key in template.fingerprints if found.get(key) != template.fingerprints[key]
        }
        assert store.reports or not lost, f"{len(lost)} are lost and not reported"
        unknown = template.peers - store.served(store.known_peers)
        assert store.reports or not unknown, f"{unknown} are forgotten, and it is not reported"
        if lost:
            generation = store.opened.choice.generation
            assert generation != template.generation, "the generation continues after a loss"
        kv = MemoryKeyValue()
        kv.entries.update(template.entries)
        peer = Replica(kv, PEER)
        store.served(lambda: store.write(rng))
        store.served(lambda: store.exchange_and_check(peer))
    except BaseException as error:
        error.add_note(f"{template.image.name}: {done}; reports: {store.reports}")
        raise
    finally:
        store.close()
