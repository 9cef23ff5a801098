from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from peatnode.api.failures import HttpProblem
from workers.broker.documents.query import (
    MISSING,
    ListingQuery,
    decode_cursor,
    encode_cursor,
    lookup,
    parse_query,
)
from workers.broker.http.limits import DEFAULT_LIMITS


def query(where: tuple[str, ...] = (), sort: str = "", fields: str = "") -> ListingQuery:
    return parse_query(where, sort, fields, "", DEFAULT_LIMITS)


def test_lookup() -> None:
    document = {"a": {"b": [1, {"c": 2}]}, "0": "zero"}
    assert lookup(document, ("a", "b", "1", "c")) == 2
    assert lookup(document, ("0",)) == "zero"
    assert lookup(document, ("a", "b", "2")) is MISSING
    assert lookup(document, ("a", "b", "x")) is MISSING
    assert lookup(document, ("a", "b", "0", "c")) is MISSING


@pytest.mark.parametrize(
    ("clause", "document", "matches"),
    [
        ("a=1", {"a": 1.0}, True),
        ("a=1", {"a": True}, False),
        ("a=true", {"a": 1}, False),
        ("a=", {"a": ""}, True),
        ("a=null", {"a": None}, True),
        ("a=null", {}, False),
        ("a!=1", {}, True),
        ("a<=1", {"a": "0"}, False),
        ("a>b", {"a": "c"}, True),
        ("a>1", {"a": True}, False),
        ("a=b=c", {"a": "b=c"}, True),
        ("a.b>=2", {"a": {"b": 2}}, True),
        ("a = b", {"a": "b"}, True),
        ('a=" b"', {"a": " b"}, True),
        ('a="=b"', {"a": "=b"}, True),
    ],
)
def test_clauses(clause: str, document: dict[str, Any], matches: bool) -> None:
    assert query((clause,)).matches(document) is matches


@pytest.mark.parametrize("clause", ["a==1", "a=>1", "a<>1", "a!==1", "a = = 1", "a~1", "=1", "a"])
def test_what_is_no_operator_is_refused(clause: str) -> None:
    with pytest.raises(HttpProblem) as refused:
        query((clause,))
    assert (refused.value.status, refused.value.code) == (400, "bad-query")


def test_sort_is_a_total_order(rng: random.Random) -> None:
    values = [None, True, False, 1, 2.5, -3, "a", "b", [], {}]
    asked = query(sort="a,-b.c")
    documents = [{"a": rng.choice(values), "b": {"c": rng.choice(values)}} for _ in range(200)]
    keyed = [(asked.key(document, f"d{n}"), n) for n, document in enumerate(documents)]
    ordered = asked.smallest(keyed, 200)
    for (left, _), (right, _) in pairwise(ordered):
        assert asked.compare(left, right) < 0
        assert asked.compare(right, left) > 0
    shuffled = keyed[:]
    rng.shuffle(shuffled)
    assert asked.smallest(shuffled, 50) == ordered[:50]


def test_projection() -> None:
    document = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]}
    assert query(fields="b.c,e,nothing").project(document) == {"b": {"c": 2}, "e": [1, 2]}
    assert query(fields="b.c,b").project(document)["b"] == {"c": 2, "d": 3}
    assert document["b"] == {"c": 2, "d": 3}


def test_cursors() -> None:
    asked = query(sort="a")
    text = encode_cursor(asked, (1, "d1"))
    assert decode_cursor(asked, text) == (1, "d1")
    assert decode_cursor(asked, "") is None
    for other, cursor in ((query(sort="-a"), text), (query(), text), (asked, "x"), (asked, "é")):
        with pytest.raises(HttpProblem):
            decode_cursor(other, cursor)
