"""JSON values, their flat shapes, edits between them, patches, names; and flat documents against real engines."""

import json
import random
import zlib
from typing import Any

import pycrdt
import pytest

from peatnode.documents.json import patch, root_maps
from peatnode.documents.json.diff import diff, plan
from peatnode.documents.json.value import ARRAY, Shape, build, dump, flatten, load, load_object
from peatnode.documents.names import check_collection, check_id
from peatnode.documents.replica.state_packing import pack_state, unpack_state
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update, encode_update
from peatnode.errors import BadName, BadValue
from tests.support.yjs_histories import random_history


def some(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(7 if depth else 5)
    if kind < 5:
        return rng.choice([0, 1, -7, 1.5, 2**60, 1e300, "", "żó", None, True, False, {}, []])
    if kind == 5:
        return [some(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {
        rng.choice(["a", "b/c", "~", ""]): some(rng, depth - 1) for _ in range(rng.randrange(4))
    }


def some_object(rng: random.Random) -> dict:
    return {rng.choice("abcd"): some(rng, 3) for _ in range(rng.randrange(5))}


@pytest.mark.parametrize("rng", range(300), indirect=True)
def test_a_value_is_what_its_shape_shows(rng):
    value = some_object(rng)
    assert build(flatten(value)) == value
    assert plan(flatten(value), value).is_empty


def test_what_lies_deeper_wins():
    assert build(Shape({"/a": 1, "/a/b": 2, "/a/b/c": 3})) == {"a": {"b": {"c": 3}}}
    assert build(Shape({"/a": ARRAY, "/a/b": 2}, {"/a": [1]})) == {"a": {"b": 2}}
    assert build(Shape({"/a": {"x": 1}, "/a/b": 2})) == {"a": {"b": 2}}


def test_a_key_without_a_slash_is_a_member_of_that_name_and_stays_one():
    shape = Shape({"title": "x", "a/b": 1})
    assert build(shape) == {"title": "x", "a/b": 1}
    edits = plan(shape, {"title": "y", "a/b": 1})
    assert dict(edits.set_leaves) == {"title": "y"}
    assert not edits.drop_leaves


@pytest.mark.parametrize("rng", range(300), indirect=True)
def test_array_differences_lead_there_and_are_few(rng):
    old = [rng.randrange(4) for _ in range(rng.randrange(12))]
    new = [rng.randrange(4) for _ in range(rng.randrange(12))]
    result = list(old)
    for splice in diff(old, new):
        result[splice.index : splice.index + splice.removed] = splice.added
    assert result == new
    inserted = list(range(1000))
    inserted.insert(rng.randrange(1000), -1)
    (only,) = diff(list(range(1000)), inserted)
    assert (only.removed, list(only.added)) == (0, [-1])


def test_arrays_with_nothing_in_common_are_replaced_in_bounded_time():
    (only,) = diff(list(range(5000)), list(range(10_000, 15_000)))
    assert (only.index, only.removed, len(only.added)) == (0, 5000, 5000)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"a":{"b":[1,9223372036854775808]}}', "/a/b/1"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "/a" * 60),
    ],
)
def test_the_place_of_what_cannot_be_is_named(body, where):
    with pytest.raises(BadValue) as caught:
        load(body)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "body",
    [b"", b"nul", b'{"a":NaN}', b'{"a":Infinity}', b'"\\ud800"', b"\xff", b'{"a":%d}' % 10**30],
)
def test_what_is_no_json_of_ours_is_refused(body):
    with pytest.raises(BadValue):
        load(body)


def test_numbers_are_json_numbers():
    assert dump(load(b'{"a":1.0,"b":1e2,"c":-0.0,"d":9007199254740993,"e":1e300}')) == (
        b'{"a":1,"b":100,"c":0,"d":9007199254740993,"e":1e+300}'
    )
    with pytest.raises(BadValue):
        load_object(b"[]")
    assert load_object(b'{"a":1,"a":2}') == {"a": 2}


# RFC 7396, appendix A
@pytest.mark.parametrize(
    ("target", "change", "result"),
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ],
)
def test_merge_patch(target, change, result):
    assert patch.merge(json.loads(target), change.encode()) == json.loads(result)


# RFC 6902, appendix A
@pytest.mark.parametrize(
    ("target", "change", "result"),
    [
        ('{"foo":["bar","baz"]}', '[{"op":"add","path":"/foo/1","value":"q"}]', '{"foo":["bar","q","baz"]}'),
        ('{"foo":["bar","q"]}', '[{"op":"remove","path":"/foo/1"}]', '{"foo":["bar"]}'),
        ('{"a":{"b":1},"c":{}}', '[{"op":"move","from":"/a/b","path":"/c/d"}]', '{"a":{},"c":{"d":1}}'),
        ('{"a":[1,2,3]}', '[{"op":"move","from":"/a/0","path":"/a/2"}]', '{"a":[2,3,1]}'),
        ('{"a":1}', '[{"op":"test","path":"/a","value":1},{"op":"copy","from":"/a","path":"/b"}]', '{"a":1,"b":1}'),
        ('{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'),
        ('{"a":[]}', '[{"op":"add","path":"/a/-","value":[1]}]', '{"a":[[1]]}'),
        ('{"a":1}', '[{"op":"replace","path":"","value":{"b":2}}]', '{"b":2}'),
    ],
)  # fmt: skip
def test_json_patch(target, change, result):
    assert patch.apply_patch(json.loads(target), change.encode()) == json.loads(result)


@pytest.mark.parametrize(
    "change",
    [
        '[{"op":"test","path":"/a","value":"1"}]', '[{"op":"test","path":"/a","value":true}]',
        '[{"op":"remove","path":"/b"}]', '[{"op":"replace","path":"/b","value":1}]',
        '[{"op":"add","path":"/l/01","value":1}]', '[{"op":"add","path":"/l/5","value":1}]',
        '[{"op":"add","path":"x","value":1}]', '[{"op":"add","path":"/~2","value":1}]',
        '[{"op":"add","path":"/a"}]', '[{"op":"nope","path":"/a"}]', '[1]', '{}', '[{"op":"remove","path":""}]',
    ],
)  # fmt: skip
def test_a_json_patch_that_does_not_fit_changes_nothing(change):
    target = {"a": 1, "l": [1, 2]}
    with pytest.raises(BadValue):
        patch.apply_patch(target, change.encode())
    assert target == {"a": 1, "l": [1, 2]}


def test_a_patch_that_doubles_and_doubles_is_refused():
    operations = [{"op": "add", "path": "/a", "value": ["x" * 100]}]
    operations += [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(55)]
    with pytest.raises(BadValue):
        patch.apply_patch({}, json.dumps(operations).encode())


def test_names():
    for name in ("a", "A_1.b-c", "x" * 64, "_"):
        check_collection(name)
    for name in ("", ".a", "-a", "a/b", "x" * 65, "ż", "a b", "a\n"):
        with pytest.raises(BadName):
            check_collection(name)
    for name in ("a", "ż😀", "a b", "...", "x" * 256, "a:b?c#d%2F"):
        check_id(name)
    for name in ("", ".", "..", "a/b", "a\x00", "\x7f", "\x85", "x" * 257, "ż" * 129, "\ud800"):
        with pytest.raises(BadName):
            check_id(name)


@pytest.mark.parametrize("rng", range(150), indirect=True)
def test_flat_documents_are_read_as_yjs_reads_them_and_written_as_it_writes_them(rng):
    docs: list[Any] = [pycrdt.Doc(client_id=client) for client in rng.sample(range(1, 2**32), 3)]
    roots = [doc.get("root", type=pycrdt.Map) for doc in docs]
    deltas: list[bytes] = []
    seen: list[int] = [0, 0, 0]
    for _ in range(rng.randrange(30)):
        who = rng.randrange(3)
        if rng.random() < 0.4:
            for delta in deltas[seen[who] :]:
                docs[who].apply_update(delta)
            seen[who] = len(deltas)
            continue
        before = docs[who].get_state()
        key = rng.choice(["/a", "/b", "/c/d"])
        if rng.random() < 0.3:
            roots[who].pop(key, None)
        else:
            roots[who][key] = rng.choice([1, "x", None, True, {}, 1.5, "żó"])
        deltas.append(docs[who].get_update(before))
    for doc in docs:
        for delta in deltas:
            doc.apply_update(delta)
    state = merge_updates(deltas)
    maps = root_maps.read(state)
    if maps is None:
        return
    assert maps.shape().leaves == json.loads(json.dumps(roots[0].to_py()))
    again = root_maps.read(decode_update(encode_update(compact(state))))
    assert again is None or again.shape().leaves == maps.shape().leaves
    target = {"a": rng.choice([1, {"q": 2}]), "l": ["x", 1], "c": {"d": 1}}
    clock = state.state_vector().get(7, 0)
    update = root_maps.change(maps, plan(maps.shape(), target), 7, clock)
    docs[0].apply_update(encode_update(update))
    arrays = {"/l": docs[0].get("/l", type=pycrdt.Array).to_py()}
    assert build(Shape(roots[0].to_py(), arrays)) == target


@pytest.mark.parametrize("rng", range(60), indirect=True)
def test_entries_carried_forward_are_those_of_a_whole_reading(rng):
    maps, updates, clock = root_maps.NO_ROOT_MAPS, [], 0
    for _ in range(20):
        target = {key: rng.choice([1, 2, {"x": 1}]) for key in rng.sample("abcd", rng.randrange(4))}
        update = root_maps.change(maps, plan(maps.shape(), target), 5, clock)
        updates.append(encode_update(update))
        clock = update.state_vector().get(5, clock)
        carried = root_maps.advance(maps, update)
        whole = root_maps.read(merge_updates(updates))
        assert carried is not None
        assert whole is not None
        assert carried.shape().leaves == whole.shape().leaves
        assert build(whole.shape()) == target
        maps = carried


def test_squeezed_states_come_back_and_overwrites_take_next_to_nothing(rng):
    for _ in range(40):
        state = encode_update(compact(merge_updates(random_history(rng).deltas)))
        assert unpack_state(pack_state(state)) == state
    maps, updates, clock = root_maps.NO_ROOT_MAPS, [], 0
    for n in range(500):
        target = {key: f"{key}{n}" for key in "abcdefgh"}
        update = root_maps.change(maps, plan(maps.shape(), target), 2**31 + 5, clock)
        updates.append(encode_update(update))
        clock = update.state_vector()[2**31 + 5]
        maps = root_maps.advance(maps, update) or root_maps.NO_ROOT_MAPS
    state = encode_update(compact(merge_updates(updates)))
    packed = pack_state(state)
    assert unpack_state(packed) == state
    assert len(zlib.compress(packed)) < 1000 < len(state) // 20
