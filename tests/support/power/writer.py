"""A process that opens a store and plays a scene on it, with the database and the replica that the worker uses.

`python -m tests.support.power.writer DATA_DIR SCENE…`, with the environment of a recorder. Scenes are methods of
`Player`. The process ends without closing anything.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.index.checkpoint import encode_checkpoint
from peatnode.documents.replica.keyspace import CHECKPOINT, FEED, number
from peatnode.documents.yjs.any_value import Json
from peatnode.model.members import KeepMembership, RememberedPeer
from tests.support import seeds
from tests.support.member_notes import MemberNotes
from tests.support.power.check import PEERS, open_replica
from tests.support.power.ledger import LedgerWriter, Name
from workers.store.disk.open import mark_damaged
from workers.store.peers.members import KeptMembers

DOCUMENTS = 120
KEPT_CHANGES = 100
"""Changes that the feed keeps when it is trimmed."""


class Player:
    """Opens the store at once, and again after what happened between two openings."""

    def __init__(self, data_dir: Path, rng: random.Random) -> None:
        self._data_dir, self._rng = data_dir, rng
        self._ledger = LedgerWriter(Path(os.environ["POWER_TRACE"]))
        self._staged: list[tuple[Name, Json]] = []
        self._open("start")

    def _open(self, phase: str) -> None:
        self._ledger.phase(phase)
        self.opened, self.replica = open_replica(self._data_dir)
        self.database = self.opened.database
        self._ledger.opened(self.opened.choice.generation)
        self._ledger.phase("write")

    # --- writes

    def _commit_random(self) -> None:
        for _ in range(self._rng.randint(1, 12)):
            self._stage_random()
        self._commit()

    def _stage_random(self) -> None:
        name = ("c", f"d{self._rng.randrange(DOCUMENTS)}")
        draw = self._rng.random()
        if draw < 0.05:
            self._stage_peer()
            return
        if draw < 0.1 and self.replica.live(document_key(*name)):
            self._stage(name, None)
            return
        size = 20 if draw < 0.4 else 500 if draw < 0.9 else 5000 if draw < 0.97 else 40_000
        self._stage(name, {"at": self._rng.getrandbits(40), "x": self._rng.randbytes(size).hex()})

    def _stage_peer(self) -> None:
        """What is kept of a peer is written, or forgotten, in the batch of the documents."""
        name, seen = f"n{self._rng.randrange(6)}", float(self._rng.getrandbits(40))
        is_kept = self._rng.random() < 0.8
        self._ledger.sent((PEERS, name), seen if is_kept else None)
        self._staged.append(((PEERS, name), seen if is_kept else None))
        peer = RememberedPeer(name, "", (), "", 0.0, seen, 0.0, b"", -1)
        kept = ((peer,), ()) if is_kept else ((), (name,))
        KeptMembers(self.replica, MemberNotes()).keep(KeepMembership(*kept, (), ()))

    def _stage(self, name: Name, value: dict[str, Json] | None) -> None:
        self._ledger.sent(name, value)
        self._staged.append((name, value))
        key = document_key(*name)
        if value is None:
            self.replica.delete(key)
            return
        record = self.replica.live(key)
        client = self.replica.client_of(self.replica.next_incarnation(key))
        maps, shape, clock, expires = root_maps.NO_ROOT_MAPS, Shape(), 0, None
        if record is None:
            expires = 4e9 if self._rng.random() < 0.1 else None
        else:
            read = root_maps.read(self.replica.merged(key, record))
            assert read is not None
            maps, shape, clock = read, read.shape(), record.state_vector.get(client, 0)
        update = root_maps.change(maps, plan(shape, value), client, clock, expires)
        written = self.replica.write(key, update, dump(value))
        if self.replica.is_compaction_due(written):
            self.replica.compact(key)

    def _commit(self) -> None:
        batch = self.replica.take_batch()
        self.opened.witness.note_write(self.replica.staged_sequence)
        self.database.write(batch.writes())
        self.database.sync()
        self.opened.witness.note(self.replica.staged_sequence)
        self.replica.committed(batch)
        for name, value in self._staged:
            self._ledger.acknowledged(name, value)
        self._staged.clear()

    # --- scenes

    def writes(self) -> None:
        for _ in range(12):
            self._commit_random()

    def tables(self) -> None:
        """Flushes between writes, so that tables are written and compacted while writes go on."""
        for _ in range(8):
            self._commit_random()
            self.database.flush()
            self._commit_random()

    def checkpoint(self) -> None:
        """A checkpoint is written between two batches, as the worker does it."""
        self._ledger.phase("checkpoint")
        checkpoint = self.replica.checkpoint()
        assert checkpoint is not None
        self.database.write([(CHECKPOINT, encode_checkpoint(checkpoint))])
        self.database.sync()
        self.replica.checkpointed(checkpoint.sequence)
        self._ledger.phase("write")
        self._commit_random()

    def trim(self) -> None:
        """The feed is trimmed between two batches, as the worker does it."""
        keep = min(self.replica.sequence - KEPT_CHANGES, self.replica.checkpoint_sequence) + 1
        self.database.delete_range(FEED + number(0), FEED + number(keep))
        self.database.sync()
        self.replica.trimmed(keep)
        self._commit_random()

    def restart(self) -> None:
        self.opened.close()
        self._open("start")

    def repair_by_copy(self) -> None:
        self.opened.close()
        self._ledger.phase("repair")
        mark_damaged(self.opened.database.path, "a test says so")
        self._open("repair")

    def repair_in_place(self) -> None:
        """The file that names the list of files is gone."""
        self.opened.close()
        self._ledger.phase("repair")
        store = self.opened.database.path
        (store / "CURRENT").unlink()
        directory = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)
        self._open("repair")


def main() -> None:
    data_dir, *scenes = sys.argv[1:]
    player = Player(Path(data_dir), seeds.generator("power"))
    for scene in scenes:
        getattr(player, scene)()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
