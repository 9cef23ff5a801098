"""Which changes get a client id that equal writes of other nodes derive too, and what it derives from."""

from __future__ import annotations

import json
from typing import Any

import pycrdt
import pytest

from peatnode.documents.json import root_lists
from peatnode.documents.json.authors import Before, change_by
from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS
from peatnode.documents.json.value import Shape
from peatnode.documents.limits import MAX_CLIENTS_OF_FIELDS, MAX_DERIVED_CLIENTS
from peatnode.documents.yjs.update import Update, decode_update, encode_update

KEY = b"c\0d"
OWN, OTHER = 1000, 2000
CREATION = Before(KEY, 1, b"", {})
Value = dict[str, Any]


def create(value: Value, own: int = OWN, before: Before = CREATION, ttl: bool = False) -> Update:
    edits = plan(Shape(), value)
    return change_by(own, before, NO_ROOT_MAPS, edits, 1e9 if ttl else None)


class Document:
    """A document, and the changes that lead to other values."""

    def __init__(self, value: Value) -> None:
        self.state = create(value)

    def change(self, value: Value, own: int = OWN, ttl: bool = False, **before: Any) -> Update:
        maps = root_lists.read(self.state)
        assert maps is not None
        edits = plan(maps.shape(), value)
        fields = {
            "key": KEY,
            "incarnation": 1,
            "fingerprint": b"f" * 16,
            "state_vector": self.state.state_vector(),
            **before,
        }
        return change_by(own, Before(**fields), maps, edits, 1e9 if ttl else None)


def client_of(update: Update) -> int:
    (client,) = update.structs
    return client


def test_equal_creations_have_equal_bytes_whoever_writes_them() -> None:
    one = create({"tags": ["red", {"x": 1, "y": 2}], "n": 1, "o": {"b": [2], "a": [1]}})
    same = create({"o": {"a": [1], "b": [2]}, "n": 1, "tags": ["red", {"y": 2, "x": 1}]}, OTHER)
    assert encode_update(one) == encode_update(same)
    assert {OWN, OTHER}.isdisjoint(one.structs)


@pytest.mark.parametrize(
    "before",
    [Before(b"c\0e", 1, b"", {}), Before(KEY, 2, b"", {})],
    ids=["another document", "another incarnation"],
)
def test_another_document_derives_another_id(before: Before) -> None:
    assert client_of(create({"a": [1]}, before=before)) != client_of(create({"a": [1]}))


@pytest.mark.parametrize(
    "other", [{"a": [2]}, {"a": [1, 1]}, {"b": [1]}, {"a": ["1"]}, {"a": [1.5]}]
)
def test_another_value_derives_another_id(other: Value) -> None:
    assert client_of(create(other)) != client_of(create({"a": [1]}))


CHANGES = [
    ({"a": [1, 2], "n": 1}, {"a": [3, 4], "n": 1}, True),
    ({"a": [1, 2]}, {"a": [2, 1]}, True),
    ({"a": [1, 2]}, {"a": [1, 2, 3]}, True),
    ({"a": [1, 2]}, {"a": [1]}, False),
    ({"a": [1], "n": 1}, {"a": [1], "n": 2}, True),
    ({"a": [], "n": 1}, {"a": [], "n": 2}, False),
    ({"n": 1}, {"n": 2}, False),
    ({"a": [1], "n": 1}, {"a": [1]}, False),
    ({"a": [1], "n": 1}, {"a": [1], "n": 1, "b": []}, True),
    ({"a": [1], "n": 1}, {"a": [1, 2], "n": 2}, True),
]


@pytest.mark.parametrize(("present", "wanted", "is_derived"), CHANGES, ids=json.dumps)
def test_which_changes_are_derived(present: Value, wanted: Value, is_derived: bool) -> None:
    document = Document(present)
    one, other = document.change(wanted), document.change(wanted, OTHER)
    assert one.delete_set == other.delete_set
    if is_derived:
        assert one.structs == other.structs
    else:
        assert set(one.structs) <= {OWN}


def test_text_that_is_put_is_derived() -> None:
    document = Document({})
    document.state = typed("old")
    one, other = document.change({"t": "old new"}), document.change({"t": "old new"}, OTHER)
    assert encode_update(one) == encode_update(other)
    assert set(one.structs).isdisjoint((OWN, OTHER))
    assert not document.change({"t": "o"}).structs


def test_another_state_derives_another_id() -> None:
    document = Document({"a": [1]})
    one = document.change({"a": [1, 2]})
    other = document.change({"a": [1, 2]}, fingerprint=b"g" * 16)
    assert client_of(one) != client_of(other)


def test_what_is_deleted_counts() -> None:
    """Equal insertions at one place, of which one also deletes, are not the same write."""
    document = Document({"a": [1, 2]})
    one, other = document.change({"a": [1, 3]}), document.change({"a": [1, 3, 2]})
    assert client_of(one) != client_of(other)


def test_the_expiry_stands_under_the_nodes_own_id() -> None:
    for update in (create({"a": [1]}, ttl=True), Document({"a": [1]}).change({"a": [2]}, ttl=True)):
        assert OWN in update.structs
        assert len(update.structs) == 2
    assert set(create({}, ttl=True).structs) == {OWN}
    again = Document({"a": [1]})
    again.state = create({"a": [1]}, ttl=True)
    changed = again.change({"a": [1, 2]}, ttl=True)
    assert [struct.clock for struct in changed.structs[OWN]] == [1]
    assert changed.delete_set.contains(OWN, 0)


def test_an_empty_document_has_no_structs() -> None:
    assert create({}).is_empty


@pytest.mark.parametrize(
    ("wanted", "bound"),
    [({"a": [1, 2]}, MAX_DERIVED_CLIENTS), ({"a": [1], "n": 1}, MAX_CLIENTS_OF_FIELDS)],
    ids=["an insertion", "a field"],
)
def test_documents_of_many_writers_get_no_more_ids(wanted: Value, bound: int) -> None:
    document = Document({"a": [1]})
    for count in (bound - 1, bound):
        update = document.change(wanted, state_vector=dict.fromkeys(range(1, 1 + count), 1))
        assert (set(update.structs) == {OWN}) is (count == bound)


def test_an_id_that_the_document_knows_already_is_not_used_again() -> None:
    """Another writer has it by chance, or a part of the write is here."""
    document = Document({"a": [1]})
    client = client_of(document.change({"a": [1, 2]}))
    vector = {**document.state.state_vector(), client: 1}
    assert set(document.change({"a": [1, 2]}, state_vector=vector).structs) == {OWN}
    both = document.change({"a": [1, 2]}, own=client, ttl=True)
    assert [struct.clock for struct in both.structs[client]] == [0, 1]


def typed(text: str) -> Update:
    """What a Yjs client has typed into the text of the pointer /t."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=7)
    doc.get("root", type=pycrdt.Map)["/t"] = {"type": "text"}
    doc.get("/t", type=pycrdt.Text).insert(0, text)
    return decode_update(doc.get_update())
