from __future__ import annotations

import contextlib
import json
import random
import string
from typing import Any

import pytest

from peatnode.api.failures import HttpProblem
from peatnode.api.json_rules import parse_document, parse_json


def value(generator: random.Random, depth: int = 0) -> Any:
    kind = generator.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [value(generator, depth + 1) for _ in range(generator.randrange(4))]
    if kind == 7:
        names = ("".join(generator.choices(string.printable, k=3)) for _ in range(3))
        return {name: value(generator, depth + 1) for name in names}
    scalars: list[Any] = [
        None,
        generator.random() < 0.5,
        generator.randrange(-(2**63), 2**63),
        generator.uniform(-1e300, 1e300),
        "".join(generator.choices('aé日𝄞\x00"\\/', k=5)),
        0,
    ]
    return scalars[kind]


def test_what_is_fine_passes(rng: random.Random) -> None:
    for _ in range(500):
        content = {"v": value(rng)}
        assert parse_document(json.dumps(content).encode()) == content


def test_mutated_bodies_never_surprise(rng: random.Random) -> None:
    for _ in range(3000):
        body = bytearray(json.dumps({"v": value(rng)}).encode())
        for _ in range(rng.randrange(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        with contextlib.suppress(HttpProblem):  # nothing else may come out
            parse_json(bytes(body))


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"a": {"b": [1, 9223372036854775808]}}', "/a/b/1"),
        (b'{"a/b": {"~": [18446744073709551615]}}', "/a~1b/~0/0"),
    ],
)
def test_where_a_number_is_too_large(body: bytes, where: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        parse_json(body)
    assert (caught.value.code, caught.value.where) == ("number-out-of-range", where)
