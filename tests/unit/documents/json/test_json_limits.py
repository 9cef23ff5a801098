"""Keys, nesting and paths of a JSON value at their limits: the last value that is accepted, the first that is not."""

from typing import Any

import orjson
import pytest

from peatnode.documents.json import patch
from peatnode.documents.json.value import dump, load, load_object
from peatnode.documents.limits import MAX_DEPTH, MAX_KEY_BYTES
from peatnode.errors import BadValue

LONGEST = ["k" * MAX_KEY_BYTES, "\N{GRINNING FACE}" * (MAX_KEY_BYTES // 4)]
TOO_LONG = ["k" * (MAX_KEY_BYTES + 1), "\N{GRINNING FACE}" * (MAX_KEY_BYTES // 4) + "k"]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("key", LONGEST)
@pytest.mark.parametrize("member", [1, "text", {"b": 1}, [1]])
def test_the_longest_key_is_accepted(key: str, member: Any) -> None:
    body = orjson.dumps({"a": {key: member}})
    assert load(body) == {"a": {key: member}}
    assert patch.merge({}, body) == {"a": {key: member}}
    change = orjson.dumps([{"op": "add", "path": f"/{key}", "value": member}])
    assert patch.apply_patch({}, change) == {key: member}


@pytest.mark.parametrize("key", TOO_LONG)
@pytest.mark.parametrize("member", [1, "text", {"b": 1}, [1]])
def test_a_longer_key_is_refused_whoever_brings_it(key: str, member: Any) -> None:
    body = orjson.dumps({"a": {key: member}})
    for write in (load, load_object, lambda body: patch.merge({}, body)):
        with pytest.raises(BadValue, match="a key is longer than 1024 bytes") as refused:
            write(body)
        assert refused.value.where == "/a"
    for change in (
        [{"op": "add", "path": f"/{key}", "value": member}],
        [{"op": "add", "path": "/b", "value": {key: member}}],
    ):
        with pytest.raises(BadValue, match="a key is longer than 1024 bytes"):
            patch.apply_patch({}, orjson.dumps(change))


def test_a_document_that_holds_a_longer_key_can_still_be_patched() -> None:
    """A Yjs client wrote it: the key is none of the patch's business."""
    kept = {TOO_LONG[0]: 1, "b": 1}
    assert patch.merge(kept, b'{"b": 2}') == {TOO_LONG[0]: 1, "b": 2}
    change = b'[{"op": "replace", "path": "/b", "value": 2}]'
    assert patch.apply_patch(kept, change) == {TOO_LONG[0]: 1, "b": 2}


def test_values_nest_as_deep_as_the_limit_says() -> None:
    deepest = nested(MAX_DEPTH)
    assert load(orjson.dumps(deepest)) == deepest
    with pytest.raises(BadValue, match=f"nest deeper than {MAX_DEPTH}"):
        load(orjson.dumps(nested(MAX_DEPTH + 1)))


@pytest.mark.parametrize("around", ["%s", '{"a":%s}', "[%s]", '{"a":[1,%s]}', "[true,[%s]]"])
def test_the_rules_of_numbers_hold_at_any_place(around: str) -> None:
    def body(number: object) -> bytes:
        return (around % number).encode()

    assert dump(load(body("2.0"))) == body(2)
    assert dump(load(body("1e300"))) == body("1e+300")
    for number in (-(2**63), 2**63 - 1):
        assert dump(load(body(number))) == body(number)
    for number in (-(2**63) - 1, 2**63, 2**64, 10**30):
        with pytest.raises(BadValue, match="does not fit 64 bits"):
            load(body(number))
