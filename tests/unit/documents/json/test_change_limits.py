"""What one change may make of a document, and how much work it may take: bounds before the work, not after it."""

from __future__ import annotations

import contextlib
import resource
from typing import Any

import orjson
import pytest

from peatnode.documents.json import patch
from peatnode.documents.json.diff import diff
from peatnode.documents.json.patched_value import PatchedValue
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.value import check_parsed, count_values, dump, load
from peatnode.documents.limits import MAX_DEPTH, MAX_POINTER_BYTES, MAX_VALUES
from peatnode.errors import BadValue

LIMITS = ChangeLimits()
ROOMY = ChangeLimits(max_bytes=2**40, max_values=10**9)
DOUBLE = {"op": "copy", "from": "/a", "path": "/a/-"}


def apply(target: dict[str, Any], *operations: object, limits: ChangeLimits = LIMITS) -> Any:
    return patch.apply_patch(target, orjson.dumps(operations), limits)


def refusal(target: dict[str, Any], *operations: object, limits: ChangeLimits = LIMITS) -> BadValue:
    with pytest.raises(BadValue) as refused:
        apply(target, *operations, limits=limits)
    return refused.value


def test_a_patch_that_doubles_an_array_is_refused_at_the_operation_that_passes_the_limit() -> None:
    """1 kB of it made 4 million values, and took 4 s of the store."""
    error = refusal({"a": [1]}, *[DOUBLE] * 22)
    assert error.where == "/14"
    assert error.code == "too-many-values"
    assert f"{MAX_VALUES} is the most" in error.message
    assert count_values(apply({"a": [1]}, *[DOUBLE] * 14)) == 2**15 + 1


def test_bytes_are_counted_after_each_operation() -> None:
    limits = ChangeLimits(max_bytes=1000)
    error = refusal({"a": ["x" * 100]}, *[DOUBLE] * 5, limits=limits)
    assert (error.where, error.code) == ("/3", "too-large")
    more = [{"op": "add", "path": f"/{n}", "value": "x" * 100} for n in range(10)]
    assert refusal({}, *more, limits=limits).where == "/9"


@pytest.mark.parametrize(
    "growth",
    [
        {"op": "add", "path": "/b", "value": 1},
        {"op": "add", "path": "/a/-", "value": 1},
        {"op": "replace", "path": "/a/0", "value": [0]},
        {"op": "copy", "from": "/a/0", "path": "/a/-"},
    ],
)
@pytest.mark.parametrize("limits", [ChangeLimits(max_values=7), ChangeLimits(max_bytes=18)])
def test_a_larger_document_may_shrink_and_not_grow(
    growth: dict[str, Any], limits: ChangeLimits
) -> None:
    large = {"a": [1, 2, 3, 4, 5, 6, 7]}
    assert refusal(large, growth, limits=limits).where == "/0"
    shrunk = apply(large, {"op": "remove", "path": "/a/6"}, limits=limits)
    limits.check_result(large, shrunk, dump(shrunk))
    grown = {"a": [*large["a"], 8]}
    with pytest.raises(BadValue):
        limits.check_result(large, grown, dump(grown))


def random_value(rng: Any, depth: int = 3) -> Any:
    kind = rng.randrange(8 if depth else 5)
    if kind < 5:
        return rng.choice([1, -20, "x", '\N{GRINNING FACE}"', True, None, 1.5, {}, []])
    if kind < 7:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice("abc/~\n"): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}


def random_path(rng: Any, value: Any) -> list[str]:
    path: list[str] = []
    while isinstance(value, dict | list) and value and rng.randrange(4):
        name = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        path.append(str(name))
        value = value[name]
    if rng.randrange(3) == 0:
        path.append(rng.choice(["a", "b", "/", "0", "1", "-"]))
    return path


def test_the_size_that_is_carried_forward_is_that_of_the_value(rng: Any) -> None:
    done = 0
    for _ in range(150):
        patched = PatchedValue({"a": random_value(rng), "b": random_value(rng)}, ROOMY)
        for _ in range(12):
            path, other = random_path(rng, patched.value), random_path(rng, patched.value)
            name = rng.choice(["add", "replace", "remove", "move", "copy"])
            if len(dump(patched.value)) > 20_000:
                break
            try:
                match name:
                    case "add" | "replace":
                        getattr(patched, name)(path, random_value(rng), "")
                    case "remove":
                        patched.remove(path, "")
                    case _:
                        getattr(patched, name)(other, path, "")
            except BadValue:
                break  # the patch as a whole is refused
            done += 1
            assert patched.size == len(dump(patched.value))
            assert patched.values == count_values(patched.value)
    assert done > 100


LARGE = {"a": list(range(90_000)), "b": {"c": 1}}
DEEP = {"n": {"a": {str(n): n for n in range(50_000)}}, "m": {}}


@pytest.mark.parametrize(
    ("target", "operations"),
    [
        (LARGE, [{"op": "test", "path": "/a", "value": [0] * 3}] * 10_000),
        (LARGE, [{"op": "test", "path": "", "value": {"a": [], "b": {"c": 1}}}] * 10_000),
        (LARGE, [{"op": "add", "path": "/a/0", "value": 1}, {"op": "remove", "path": "/a/0"}] * 5000),
        (LARGE, [{"op": "move", "from": "/a", "path": "/x"}, {"op": "move", "from": "/x", "path": "/a"}] * 5000),
        (LARGE, [{"op": "copy", "from": "/b", "path": "/a/0"}, {"op": "remove", "path": "/a/0"}] * 5000),
        (DEEP, [{"op": "move", "from": "/n/a", "path": "/x"}, {"op": "move", "from": "/x", "path": "/n/a"}] * 5000),
        (DEEP, [{"op": "copy", "from": "/n", "path": "/m/n"}, {"op": "remove", "path": "/m/n"}] * 5000),
    ],
)  # fmt: skip
def test_ten_thousand_operations_on_a_large_document_take_bounded_time(
    target: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    """Without a budget some of these visit a billion values, and exceed the time limit of a test."""
    with contextlib.suppress(BadValue):
        apply(target, *operations, limits=ROOMY)


def nested(levels: int) -> Any:
    return nested_in(1, levels)


def nested_in(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a" * 50 + "/b", "value": nested(10)},
        {"op": "replace", "path": "/a" * 50, "value": nested(11)},
        {"op": "copy", "from": "/c", "path": "/a" * 50 + "/b"},
        {"op": "move", "from": "/c", "path": "/a" * 50 + "/b"},
    ],
)
def test_no_operation_nests_deeper_than_the_limit(operation: dict[str, Any]) -> None:
    target = nested(51) | {"c": nested(10)}
    error = refusal(target, operation)
    assert (error.message, error.code, error.where) == (
        f"objects and arrays nest deeper than {MAX_DEPTH} levels",
        "too-deep",
        "/0",
    )
    shorter = orjson.loads(orjson.dumps(target).replace(b'{"a":1}', b"1", 1))
    assert apply(shorter, {"op": "test", "path": "", "value": shorter})


def test_names_along_a_path_are_bounded_wherever_a_value_comes_from() -> None:
    long = "k" * 1000
    target = {long: {long: {long: {}}}, "v": {long: {long: 1}}}
    path = f"/{long}/{long}/{long}/x"
    for operation in (
        {"op": "add", "path": path, "value": target["v"]},
        {"op": "copy", "from": "/v", "path": path},
        {"op": "move", "from": "/v", "path": path},
    ):
        error = refusal(target, operation)
        assert f"more than {MAX_POINTER_BYTES} bytes" in error.message


def test_a_document_that_nests_deeper_can_be_patched_elsewhere() -> None:
    """A Yjs client wrote it."""
    deep = nested(MAX_DEPTH + 5)
    assert apply(deep, {"op": "add", "path": "/b", "value": 1}) == deep | {"b": 1}
    assert patch.merge(deep, b'{"b":1}') == deep | {"b": 1}
    assert apply(deep, {"op": "move", "from": "/a/a", "path": "/a"}) == nested(MAX_DEPTH + 4)


def test_a_body_holds_no_more_values_than_a_document() -> None:
    most = orjson.dumps({"a": [0] * (MAX_VALUES - 2)})
    assert load(most)
    over = orjson.dumps({"a": [0] * (MAX_VALUES - 1)})
    for check in (load, lambda body: check_parsed(orjson.loads(body), body)):
        with pytest.raises(
            BadValue, match=f"the body holds more than {MAX_VALUES} values"
        ) as refused:
            check(over)
        assert refused.value.code == "too-many-values"


def peak_growth(before: int) -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 - before


def test_one_changed_element_of_a_large_array_costs_no_copy_of_each_element() -> None:
    """Each comparison kept 8 KiB for an element: 1.1 GiB for 140,000 numbers."""
    present, wanted = list(range(100_000)), list(range(100_000))
    wanted[50_000] = -1
    before = peak_growth(0)
    (splice,) = diff(present, wanted)
    assert (splice.index, splice.removed, list(splice.added)) == (50_000, 1, [-1])
    assert peak_growth(before) < 40


@pytest.mark.parametrize("item", [lambda n: n, lambda n: [n], lambda n: n + 0.5, str])
def test_an_array_that_changes_as_a_whole_stays_within_its_memory(item: Any) -> None:
    present = [item(n) for n in range(40_000)]
    wanted = [item(n) for n in range(50_000, 90_000)]
    before = peak_growth(0)
    assert len(diff(present, wanted)) == 1
    assert peak_growth(before) < 60


def test_numbers_texts_and_booleans_are_told_apart() -> None:
    for left, right in ((1, True), (0, False), ("1", 1), (1.5, "1.5"), (None, False)):
        (splice,) = diff([0, left, 2], [0, right, 2])
        assert (splice.index, splice.removed) == (1, 1)
        assert splice.added[0] is right
