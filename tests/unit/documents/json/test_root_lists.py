"""Documents with arrays and texts, read and changed without an engine; and those that only an engine can read."""

from __future__ import annotations

import json
import random
from typing import Any

import pycrdt
import pytest

from peatnode.documents.json import root_lists, root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.packed_maps import pack, unpack
from peatnode.documents.json.value import Shape, build, dump
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.list_writers import KEY, CodecWriter, changed, first_update
from tests.support.memory_kv import MemoryKeyValue, commit


def changed_by(maps: root_maps.RootMaps, target: dict[str, Any], clock: int) -> Update:
    shape = maps.shape()
    whole = maps.shape_towards(shape, target)
    assert whole is not None
    return root_maps.change(maps, plan(whole, target), 5, clock)


@pytest.mark.parametrize("rng", range(30), indirect=True)
def test_own_changes_are_carried_forward_to_what_a_whole_reading_finds(rng: random.Random) -> None:
    updates, clock = [first_update()], 0
    maps = root_lists.read(decode_update(updates[0]))
    assert maps is not None
    for _ in range(25):
        target = changed(rng, build(maps.shape()))
        update = changed_by(maps, target, clock)
        clock = update.state_vector().get(5, clock)
        updates.append(encode_update(update))
        maps = root_lists.advance(maps, update)
        assert maps is not None
        whole = root_lists.read(merge_updates(updates))
        assert whole is not None
        assert build(maps.shape()) == build(whole.shape()) == target
        assert build(unpack(pack(maps)).shape()) == target
        assert unpack(pack(maps)).root.keys() == whole.root.keys()
        maps = rng.choice([maps, whole, unpack(pack(maps))])


def test_what_a_change_of_two_writers_needs_is_read_again() -> None:
    """The second insertion at a place compares its item with the first."""
    maps = root_lists.read(decode_update(first_update()))
    again = root_lists.read(decode_update(first_update()))
    assert maps is not None
    assert again is not None
    target = {**build(maps.shape()), "l": ["first", *build(maps.shape())["l"]]}  # type: ignore[misc]
    update = changed_by(maps, target, 0)
    other = Update({6: changed_by(again, target, 0).structs[5]})
    advanced = root_lists.advance(maps, update)
    assert advanced is not None
    assert root_lists.advance(advanced, other) is None


def replica_of(*updates: bytes) -> Replica:
    replica = Replica(MemoryKeyValue(), 1)
    for update in updates:
        change = DocumentUpdate("c", "one", 1, False, 0.0, update)
        assert replica.join(change, "p").outcome is Outcome.APPLIED
        commit(replica)
    return replica


def client_update(client: int, edit: Any) -> bytes:
    doc: Any = pycrdt.Doc(client_id=client)
    doc.apply_update(first_update())
    before = doc.get_state()
    edit(doc)
    update: bytes = doc.get_update(before)
    return update


def bold(doc: Any) -> None:
    doc.get("/t", type=pycrdt.Text).format(0, 1, {"bold": True})


def two_kinds(doc: Any) -> None:
    doc.get("root", type=pycrdt.Map)["/t"] = {"type": "array"}


def element(doc: Any) -> None:
    doc.get("/l", type=pycrdt.Array).append("more")


@pytest.mark.parametrize(
    ("client", "edit"),
    [(7, bold), (7, two_kinds), (2**32 + 7, element)],
    ids=["formatting", "a text with the leaf of an array", "a client id beyond 32 bits"],
)
def test_what_an_engine_might_read_otherwise_is_left_to_it(client: int, edit: Any) -> None:
    replica = replica_of(first_update(), client_update(client, edit))
    record = replica.live(KEY)
    assert record is not None
    assert record.is_value_outdated
    assert record.flags & DocumentFlag.NEEDS_ENGINE
    assert replica.maps(KEY, record) is None


def test_an_array_whose_hidden_content_is_a_text_is_changed_by_the_engine() -> None:
    def unmark(doc: Any) -> None:
        del doc.get("root", type=pycrdt.Map)["/t"]

    replica = replica_of(first_update(), client_update(7, unmark))
    record = replica.live(KEY)
    assert record is not None
    maps = replica.maps(KEY, record)
    assert maps is not None
    shape = maps.shape()
    assert build(shape) == json.loads(replica.value(KEY, record))
    assert maps.shape_towards(shape, {"t": ["x"]}) is None
    assert maps.shape_towards(shape, {"t": "x", "u": ["x"]}) is not None


def test_elements_that_no_leaf_shows_are_replaced_by_those_of_a_new_array() -> None:
    def unmark(doc: Any) -> None:
        del doc.get("root", type=pycrdt.Map)["/l"]

    writer = CodecWriter(1)
    for update in (first_update(), client_update(7, unmark)):
        writer.receive(update)
    assert writer.value() == {"t": "ab"}
    writer.write({"t": "ab", "l": ["new"]})
    reader = CodecWriter(2)
    for update in (first_update(), client_update(7, unmark)):
        reader.receive(update)
    reader.receive(writer.state())
    assert reader.value() == {"t": "ab", "l": ["new"]}


def test_a_long_history_needs_no_engine_while_its_document_is_in_use() -> None:
    writer = CodecWriter(1)
    writer.receive(first_update())
    for number in range(150):
        writer.write({"l": [number, str(number)], "m": [number], "s": "x" * 16_300})
    record = writer.record()
    assert record.snapshot_bytes > 16 * 1024
    state = decode_update(writer.state())
    assert root_lists.read(state) is not None
    assert build(root_lists.read(state).shape()) == writer.value()  # type: ignore[union-attr]
    late = client_update(9, element)
    writer.receive(late)
    assert writer.value()["l"] == [149, "149", "more"]


def test_a_first_reading_of_a_document_without_lists_is_that_of_root_maps() -> None:
    update = root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), {"a": {"b": 1}}), 5, 0)
    flat, listed = root_maps.read(update), root_lists.read(update)
    assert flat is not None
    assert listed is not None
    assert dump(build(flat.shape())) == dump(build(listed.shape())) == b'{"a":{"b":1}}'
