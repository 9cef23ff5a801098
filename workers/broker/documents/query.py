"""Queries of a listing: `where`, `sort`, `fields`, `cursor`. No I/O.

A clause is PATH OP VALUE. PATH is dotted (`address.city`, `tags.0`), and OP is one of = != < <= > >=.
VALUE is a JSON scalar (42, true, null, "42"), or else text. The operators < <= > >= compare numbers with
numbers and text with text; other pairs do not match.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

import orjson

from peatnode.api.failures import HttpProblem
from workers.broker.http.limits import BrokerLimits

MISSING = object()
"""The value of a path that the document does not have."""

_CLAUSE = re.compile(r"([^=!<>]+)(<=|>=|!=|=|<|>)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on one path."""

    path: tuple[str, ...]
    operator: str
    value: Any

    def matches(self, document: Any) -> bool:
        found = lookup(document, self.path)
        if self.operator == "=":
            return _equal(found, self.value)
        if self.operator == "!=":
            return not _equal(found, self.value)
        if _rank(found) != _rank(self.value) or _rank(found) not in (_NUMBER, _TEXT):
            return False
        match self.operator:
            case "<":
                return bool(found < self.value)
            case "<=":
                return bool(found <= self.value)
            case ">":
                return bool(found > self.value)
            case _:
                return bool(found >= self.value)


@dataclass(frozen=True, slots=True)
class SortKey:
    """A path to sort by."""

    path: tuple[str, ...]
    is_descending: bool


@dataclass(frozen=True, slots=True)
class ListingQuery:
    """Which documents to list, in which order, with which fields."""

    where: tuple[Clause, ...]
    sort: tuple[SortKey, ...]
    fields: tuple[tuple[str, ...], ...]
    prefix: str
    digest: str
    """A hash of the parameters that must stay the same while a cursor is used."""

    @property
    def is_plain(self) -> bool:
        """Whether documents can be listed without decoding them."""
        return not (self.where or self.sort or self.fields)

    def matches(self, document: Any) -> bool:
        return all(clause.matches(document) for clause in self.where)

    def project(self, document: dict[str, Any]) -> dict[str, Any]:
        """The requested fields, at their paths in the document."""
        if not self.fields:
            return document
        result: dict[str, Any] = {}
        for path in self.fields:
            found = lookup(document, path)
            if found is MISSING:
                continue
            place = result
            for step in path[:-1]:
                below = place.setdefault(step, {})
                if not isinstance(below, dict):
                    break
                place = below
            else:
                place[path[-1]] = found
        return result

    def key(self, document: Any, doc_id: str) -> tuple[Any, ...]:
        """The sort key as JSON values. The id is last, so that no two keys are equal."""
        return (*(_sortable(lookup(document, key.path)) for key in self.sort), doc_id)

    def compare(self, first: Sequence[Any], second: Sequence[Any]) -> int:
        """Negative, 0 or positive, for two sort keys. Missing values are last in both directions."""
        for key, left, right in zip(self.sort, first, second, strict=False):
            order = compare_scalars(left, right)
            if order:
                missing = left is None or right is None
                return -order if key.is_descending and not missing else order
        return int(first[-1] > second[-1]) - int(first[-1] < second[-1])

    def smallest(
        self, keyed: Iterable[tuple[tuple[Any, ...], Any]], limit: int
    ) -> list[tuple[tuple[Any, ...], Any]]:
        """The first `limit` pairs of (sort key, content), sorted."""
        order = cmp_to_key(self.compare)
        return sorted(keyed, key=lambda pair: order(pair[0]))[:limit]


def parse_query(
    where: Sequence[str], sort: str, fields: str, prefix: str, limits: BrokerLimits
) -> ListingQuery:
    """The query of these parameters. Raises HttpProblem (400) with the invalid part."""
    if len(where) > limits.where_clauses:
        raise HttpProblem(
            400, "bad-query", f"More than {limits.where_clauses} clauses in where.", "where"
        )
    text = orjson.dumps([list(where), sort, prefix])
    return ListingQuery(
        where=tuple(_parse_clause(clause) for clause in where),
        sort=tuple(_parse_sort(part) for part in _parts(sort, "sort")),
        fields=tuple(_parse_path(part, "fields") for part in _parts(fields, "fields")),
        prefix=prefix,
        digest=hashlib.sha256(text).hexdigest()[:8],
    )


def _parts(text: str, where: str) -> list[str]:
    parts = text.split(",") if text else []
    if len(parts) > 16:
        raise HttpProblem(400, "bad-query", f"More than 16 paths in {where}.", where)
    return parts


def _parse_clause(text: str) -> Clause:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise HttpProblem(
            400,
            "bad-query",
            f"{text!r} is not a condition. Expected PATH OP VALUE with OP one of = != < <= > >=,"
            " such as age>=30.",
            "where",
        )
    text = match[3].strip()
    if text[:1] in ("=", "<", ">"):
        raise HttpProblem(
            400,
            "bad-query",
            f"{match[2] + text[0]!r} is not an operator. Expected one of = != < <= > >=;"
            " put text that begins with = < or > in double quotes.",
            "where",
        )
    value = _parse_value(text)
    if match[2] not in ("=", "!=") and _rank(value) not in (_NUMBER, _TEXT):
        raise HttpProblem(
            400,
            "bad-query",
            f"{match[2]} compares numbers or text, not booleans and null.",
            "where",
        )
    return Clause(_parse_path(match[1].strip(), "where"), match[2], value)


def _parse_value(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(value, (dict, list)):
        raise HttpProblem(
            400,
            "bad-query",
            "A condition compares with a scalar, not with an object or array.",
            "where",
        )
    return value


def _parse_sort(text: str) -> SortKey:
    return SortKey(_parse_path(text.removeprefix("-"), "sort"), text[:1] == "-")


def _parse_path(text: str, where: str) -> tuple[str, ...]:
    path = tuple(text.split("."))
    if not all(path) or len(path) > 32:
        raise HttpProblem(
            400, "bad-query", f"{text!r} is not a dotted path, such as address.city.", where
        )
    return path


def lookup(document: Any, path: Sequence[str]) -> Any:
    """The value at a dotted path, arrays by index, or MISSING."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(step, MISSING)
        elif isinstance(document, list) and step.isascii() and step.isdigit() and len(step) < 7:
            document = document[int(step)] if int(step) < len(document) else MISSING
        else:
            return MISSING
    return document


_NUMBER, _TEXT = 2, 3


def _rank(value: Any) -> int:
    if isinstance(value, bool):
        return 1
    if isinstance(value, (int, float)):
        return _NUMBER
    if isinstance(value, str):
        return _TEXT
    return 0 if value is None else 4


def _equal(found: Any, wanted: Any) -> bool:
    return _rank(found) == _rank(wanted) and bool(found == wanted)


def _sortable(value: Any) -> Any:
    """The scalar, or null for other and missing values, which are last in both directions."""
    return None if value is MISSING or isinstance(value, (dict, list)) else value


def compare_scalars(left: Any, right: Any) -> int:
    """The order of two scalars: booleans, numbers, text, null."""
    if left is None or right is None:
        return (left is None) - (right is None)
    ranks = _rank(left), _rank(right)
    if ranks[0] != ranks[1]:
        return (ranks[0] > ranks[1]) - (ranks[0] < ranks[1])
    return int(left > right) - int(left < right)


def encode_cursor(query: ListingQuery, position: Sequence[Any]) -> str:
    """A cursor: the position to continue at, and the digest of the query. It is opaque to clients."""
    content = orjson.dumps([query.digest, *position])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(query: ListingQuery, text: str) -> tuple[Any, ...] | None:
    """The position in a cursor; None for an empty one. Raises HttpProblem."""
    if not text:
        return None
    try:
        content = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        raise HttpProblem(
            400, "bad-cursor", "This is not a cursor of a listing.", "cursor"
        ) from None
    length = len(query.sort) + 2
    if not isinstance(content, list) or len(content) != length or not isinstance(content[-1], str):
        raise HttpProblem(400, "bad-cursor", "This cursor belongs to another query.", "cursor")
    if content[0] != query.digest or any(isinstance(part, (dict, list)) for part in content):
        raise HttpProblem(400, "bad-cursor", "This cursor belongs to another query.", "cursor")
    return tuple(content[1:])
