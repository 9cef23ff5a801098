"""How many bytes the names of a document take, when it is stored flat."""

import random

import pytest

from peatnode.documents.json.size import ChangeLimits, names_bytes
from peatnode.documents.json.value import dump, flatten
from peatnode.documents.limits import MAX_NAMES_BYTES
from peatnode.errors import BadValue
from tests.support.json_texts import TEXTS


def test_the_names_are_those_of_the_flat_shape(rng: random.Random) -> None:
    def value(depth: int) -> object:
        if depth == 0 or rng.random() < 0.3:
            return rng.choice([1, None, "x", {}, [], [{"a": {"b": 1}}]])
        return {rng.choice(TEXTS): value(depth - 1) for _ in range(rng.randint(0, 4))}

    for _ in range(300):
        document = {"a": value(4), "\u00e9/~": value(3)}
        leaves = flatten(document).leaves
        assert names_bytes(document) == sum(len(pointer.encode()) for pointer in leaves)


def long_names(members: int) -> dict[str, object]:
    name = "k" * 1000
    return {name: {name: {name: {f"{number:04}": 0 for number in range(members)}}}}


def test_long_names_above_many_members_are_refused() -> None:
    limits = ChangeLimits()
    most = MAX_NAMES_BYTES // (3 * 1001 + 5)
    kept, refused = long_names(most), long_names(most + 1)
    limits.check_result({}, kept, dump(kept))
    with pytest.raises(BadValue, match=f"and {MAX_NAMES_BYTES} is the most") as error:
        limits.check_result({}, refused, dump(refused))
    assert (error.value.code, error.value.where) == ("too-large", "")
    limits.check_result(long_names(most + 2), refused, dump(refused))  # it becomes smaller
