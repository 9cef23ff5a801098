"""One codec of dataclasses, with two kinds of strictness."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgpack
import pytest

from peatnode.codec.records import STRICT, TOLERANT, make_packer, record_reader, unpack
from peatnode.errors import MalformedFrame


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Outer:
    text: str
    data: bytes
    flag: bool
    ratio: float
    inner: Inner
    many: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("", 0)


@dataclass(frozen=True, slots=True)
class Empty:
    pass


VALUE = Outer("ä", b"\0", True, 1.5, Inner(1), (Inner(2, Colour.BLUE),), ("k", 3))
WIRE = ("ä", b"\0", True, 1.5, (1, "red"), ((2, "blue"),), ("k", 3))
pack = make_packer((Outer, Inner, Empty))
strict, tolerant = record_reader(Outer, STRICT), record_reader(Outer, TOLERANT)


def test_a_record_is_an_array_of_its_fields_behind_the_head() -> None:
    assert unpack(pack(("tag", 7), VALUE), STRICT) == ("tag", 7, *WIRE)
    assert unpack(pack((), Empty()), STRICT) == ()


def test_both_read_what_is_packed() -> None:
    for read in (strict, tolerant):
        assert read(unpack(pack((), VALUE), STRICT)) == VALUE


def test_strict_takes_the_declared_fields_and_no_others() -> None:
    for wire in (WIRE[:-1], (*WIRE, 1), (*WIRE[:4], (1,), *WIRE[5:])):
        with pytest.raises(MalformedFrame, match="fields"):
            strict(wire)


def test_tolerant_drops_what_is_newer_and_defaults_what_is_older() -> None:
    assert tolerant((*WIRE, "newer", 5)) == VALUE
    assert tolerant((*WIRE[:4], (1,))) == Outer("ä", b"\0", True, 1.5, Inner(1))
    assert tolerant((*WIRE[:6], ("k", 3, "newer"))) == VALUE
    with pytest.raises(MalformedFrame, match="fields"):
        tolerant(WIRE[:4])


def test_a_negative_number_is_for_our_own_processes() -> None:
    assert record_reader(Inner, STRICT)((-1, "red")) == Inner(-1)
    with pytest.raises(MalformedFrame, match=r"Inner\.number"):
        record_reader(Inner, TOLERANT)((-1, "red"))


@pytest.mark.parametrize("read", [strict, tolerant], ids=["strict", "tolerant"])
@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, b"bytes"),
        (1, "text"),
        (2, 1),
        (3, "1.5"),
        (3, True),
        (4, [1]),
        (4, ("1", "red")),
        (4, (True, "red")),
        (4, (1, "green")),
        (4, (1, 7)),
        (5, "many"),
        (6, ("k",)),
        (6, ("k", 3.0)),
    ],
)
def test_a_field_of_another_type_is_refused(read: Any, index: int, value: Any) -> None:
    with pytest.raises(MalformedFrame):
        read((*WIRE[:index], value, *WIRE[index + 1 :]))


def test_an_integer_is_a_float_where_one_is_declared() -> None:
    read = strict((*WIRE[:3], 2, *WIRE[4:]))
    assert type(read.ratio) is float


@pytest.mark.parametrize("strictness", [STRICT, TOLERANT], ids=["strict", "tolerant"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,
        msgpack.packb({"a": 1}),
        msgpack.packb([1]) + b"\x00",
        msgpack.packb(msgpack.ExtType(1, b"x")),
        b"\xdd\xff\xff\xff\xff",
        b"\xa1\xff",
    ],
)
def test_what_is_no_msgpack_of_ours_is_refused(strictness: Any, content: bytes) -> None:
    with pytest.raises(MalformedFrame):
        unpack(content, strictness)


def test_an_array_of_a_peer_is_bounded() -> None:
    content = msgpack.packb([0] * (TOLERANT.max_elements + 1))
    assert len(unpack(content, STRICT)) == TOLERANT.max_elements + 1
    with pytest.raises(MalformedFrame):
        unpack(content, TOLERANT)
