"""Random histories of edits, deletions and undeletions on several replicas that hear of each other in any order."""

from __future__ import annotations

import random

import orjson
import pycrdt
import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.apply_update import whole_value
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.reads import missing_update, wanted_of
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEY = document_key("c", "one")
HISTORIES = 10


class Site:
    """A replica with what it keeps, and an editor that may be offline."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.replica = Replica(MemoryKeyValue(), 100 + number)
        bounds = EndedBounds(100.0, 1 << 20)
        self.ended = EndedContents(self.replica, bounds, lambda: 0.0, lambda: 0.0)
        self.written = 0
        self.editor = pycrdt.Doc(client_id=200 + number)

    def write(self) -> None:
        self.written += 1
        put(self.replica, KEY, {f"f{self.written % 3}": f"{self.number}.{self.written}"})
        commit(self.replica)

    def type(self) -> None:
        """The editor takes what is here, and types into a text of its own."""
        record = self.replica.live(KEY)
        if record is None:
            return
        for update in self.replica.state(KEY, record):
            self.editor.apply_update(update)
        known = self.editor.get_state()
        text = self.editor.get("/t", type=pycrdt.Text)
        text += f"{self.number}"
        change = DocumentUpdate(
            "c", "one", record.incarnation, False, 0.0, self.editor.get_update(known)
        )
        outcome = self.replica.join(change, "client:1").outcome
        if outcome is Outcome.STALE:  # a page that is told to reload
            self.editor = pycrdt.Doc(client_id=self.editor.client_id + 50)
        commit(self.replica)

    def delete(self) -> None:
        if self.replica.live(KEY) is not None:
            self.replica.delete(KEY)
            commit(self.replica)

    def undelete(self) -> None:
        head = self.ended.find(KEY)
        if self.replica.live(KEY) is not None or head is None:
            return
        parts = self.ended.parts(head)
        assert parts is not None
        whole = compact(merge_updates(parts))
        self.ended.remove(KEY, head.sequence)
        self.replica.undelete(KEY, whole, encode_update(whole), None)
        commit(self.replica)
        assert self.units() == units_of(encode_update(whole))

    def hear(self, other: Site) -> None:
        """What anti-entropy brings from another site."""
        update = missing_update(other.replica, KEY, *wanted_of(self.replica, KEY))
        if update is not None:
            joined = self.replica.join(update, f"peer-{other.number}")
            assert joined.outcome is not Outcome.REFUSED, joined.reason
            commit(self.replica)

    def units(self) -> object:
        record = self.replica.live(KEY)
        return None if record is None else units_of(encode_update(self.replica.merged(KEY, record)))


def read(replica: Replica) -> bytes:
    record = replica.live(KEY)
    value = b"{}" if record is None else whole_value(replica.merged(KEY, record))
    orjson.loads(value)
    return value


def units_of(update: bytes) -> object:
    """State vector, deletions and texts as Yjs reads them."""
    doc = pycrdt.Doc()
    doc.apply_update(update)
    root, text = doc.get("root", type=pycrdt.Map), doc.get("/t", type=pycrdt.Text)
    return doc.get_state(), dict(root), str(text)


@pytest.mark.parametrize("rng", range(4), indirect=True)
def test_sites_become_equal_and_each_undeletion_brings_all_back(rng: random.Random) -> None:
    undeleted = histories = 0
    while histories < HISTORIES or undeleted < HISTORIES:
        histories += 1
        assert histories < 20 * HISTORIES, "hardly anything is undeleted"
        sites = [Site(number) for number in range(3)]
        sites[0].write()
        for _ in range(60):
            site = rng.choice(sites)
            match rng.choices(range(5), [4, 3, 2, 3, 8])[0]:
                case 0:
                    site.write()
                case 1:
                    site.type()
                case 2:
                    site.delete()
                case 3:
                    before = site.replica.live(KEY)
                    site.undelete()
                    undeleted += before is None and site.replica.live(KEY) is not None
                case 4:
                    site.hear(rng.choice([other for other in sites if other is not site]))
        for _ in range(4):
            for one in sites:
                for other in sites:
                    if one is not other:
                        one.hear(other)
        assert len({site.replica.tree.root for site in sites}) == 1
        values = {read(site.replica) for site in sites}
        assert len(values) == 1


@pytest.mark.parametrize("rng", range(4), indirect=True)
def test_undeletions_at_the_same_time_merge_to_the_union(rng: random.Random) -> None:
    for _ in range(HISTORIES):
        sites = [Site(number) for number in range(3)]
        sites[0].write()
        for site in sites[1:]:
            site.hear(sites[0])
        for site in rng.choices(sites, k=6):
            rng.choice([site.write, site.type])()
        union = pycrdt.Doc()
        for site in sites:
            record = site.replica.live(KEY)
            assert record is not None
            union.apply_update(encode_update(site.replica.merged(KEY, record)))
        rng.choice(sites).delete()
        for _ in range(3):
            for one in sites:
                for other in sites:
                    if one is not other:
                        one.hear(other)
        assert all(site.replica.live(KEY) is None for site in sites)
        for site in rng.sample(sites, 3):
            site.undelete()
        for _ in range(3):
            for one in sites:
                for other in sites:
                    if one is not other:
                        one.hear(other)
        expected = units_of(union.get_update())
        assert [site.units() == expected for site in sites] == [True] * 3
