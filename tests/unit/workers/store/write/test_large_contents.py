"""Large documents are read in a thread before they are changed, once."""

from __future__ import annotations

from typing import Any

import pycrdt
import pytest

from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import unkeyed_sums
from peatnode.documents.names import document_key
from peatnode.documents.replica.replica import Replica
from peatnode.errors import EntriesDiffer
from peatnode.ipc.messages import DocumentUpdate
from peatnode.model.documents import Outcome
from tests.support.memory_kv import MemoryKeyValue, commit
from workers.store.write.large_contents import LargeContents

KEY = document_key("c", "d")


class Editor:
    """A Yjs client with a text of 100,000 characters."""

    def __init__(self) -> None:
        self._doc: Any = pycrdt.Doc(client_id=5)
        self._text = self._doc.get("/t", type=pycrdt.Text)
        self._text.insert(0, "some words " * 10_000)
        self.whole: bytes = self._doc.get_update()

    def insert(self) -> bytes:
        before = self._doc.get_state()
        self._text.insert(50, "more")
        return self._since(before)

    def delete(self) -> bytes:
        before = self._doc.get_state()
        del self._text[30:40]
        return self._since(before)

    def _since(self, before: bytes) -> bytes:
        update: bytes = self._doc.get_update(before)
        return update


class Here:
    def __init__(self) -> None:
        self.replica = Replica(MemoryKeyValue(), 1)
        self.contents = LargeContents(self.replica)

    async def join(self, update: bytes) -> None:
        change = DocumentUpdate("c", "d", 1, False, 0.0, update)
        decoded = await self.contents.decode(change, "peer")
        await self.contents.read_for(change)
        assert self.replica.join(change, "peer", decoded).outcome is Outcome.APPLIED
        commit(self.replica)
        record = self.replica.live(KEY)
        assert record is not None
        assert record.content_sum == state_sum(unkeyed_sums(), self.replica.merged(KEY, record))


async def test_a_large_document_is_read_before_the_first_deletion_and_then_carried_forward() -> (
    None
):
    here, editor = Here(), Editor()
    await here.join(editor.whole)
    assert here.contents.documents_read == 0
    for _ in range(3):
        await here.join(editor.delete())
        await here.join(editor.insert())
    assert here.contents.documents_read == 1


async def test_what_was_discarded_is_read_again() -> None:
    here, editor = Here(), Editor()
    await here.join(editor.whole)
    await here.join(editor.delete())
    here.replica.forget()
    await here.join(editor.delete())
    assert here.contents.documents_read == 2


async def test_nothing_is_read_for_small_documents_and_insertions() -> None:
    here, editor = Here(), Editor()
    await here.join(editor.whole)
    await here.contents.read_for(DocumentUpdate("c", "d", 1, False, 0.0, b"\0\0"))
    await here.contents.read_for(DocumentUpdate("c", "d", 1, True, 0.0, b"\0\1"))
    await here.contents.read_for(DocumentUpdate("c", "none", 1, False, 0.0, b"\0\1"))
    await here.contents.read_for(DocumentUpdate("\udcff", "", 1, False, 0.0, b"\0\1"))
    assert here.contents.documents_read == 0


async def test_a_missing_snapshot_is_damage() -> None:
    here, editor = Here(), Editor()
    await here.join(editor.whole)
    assert isinstance(here.replica.kv, MemoryKeyValue)
    del here.replica.kv.entries[b"s" + KEY]
    with pytest.raises(EntriesDiffer):
        await here.join(editor.delete())
