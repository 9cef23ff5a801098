"""What the sums of units depend on, and what they do not depend on."""

from __future__ import annotations

import struct as packing

import pytest

from peatnode.documents.content.primes import derive_prime, is_prime
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.yjs.any_value import encode_any
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.lib0 import var_string, var_uint
from peatnode.documents.yjs.sequences.visible import Place, new_struct
from peatnode.documents.yjs.structs import (
    ANY,
    BINARY,
    DELETED,
    EMBED,
    FORMAT,
    GC,
    JSON,
    STRING,
    TYPE,
    Id,
    Struct,
    cut_left,
    cut_right,
    gc_struct,
    with_content,
)
from peatnode.documents.yjs.update import Update

CLIENT = 7
SUMS = UnitSums(b"a key")


def item(
    kind: int,
    content: bytes,
    length: int = 1,
    clock: int = 3,
    origin: Id | None = (1, 4),
    right_origin: Id | None = None,
    root: str = "/list",
) -> Struct:
    return new_struct(kind, clock, length, content, Place(origin, right_origin), root)


def text(units: str, **place: object) -> Struct:
    length = len(units.encode("utf-16-le")) // 2
    return item(STRING, var_string(units), length, **place)  # type: ignore[arg-type]


def value(encoded: bytes) -> Struct:
    return item(ANY, b"\1" + encoded)


def of(*structs: Struct, deleted: tuple[tuple[int, int, int], ...] = ()) -> int:
    return state_sum(SUMS, Update({CLIENT: structs}, DeleteSet.from_ranges(deleted)))


NUMBERS = item(ANY, var_uint(4) + b"".join(map(encode_any, [5, "żółć", None, [1, {"a": 2}]])), 4)
OLD_VALUES = item(JSON, var_uint(3) + b"".join(map(var_string, ["1", "undefined", '{"a":[]}'])), 3)


@pytest.mark.parametrize("origin", [(1, 4), (CLIENT, 2), None])
@pytest.mark.parametrize("whole", [NUMBERS, OLD_VALUES, text("ab żółć\0\0x")])
def test_a_cut_changes_nothing(whole: Struct, origin: Id | None) -> None:
    whole = item(whole.kind, whole.raw[whole.content_at :], whole.length, origin=origin)
    for offset in range(1, whole.length):
        parts = cut_left(whole, offset), cut_right(CLIENT, whole, offset)
        assert of(*parts) == of(whole)
    units = [SUMS.unit(CLIENT, whole, clock) for clock in range(whole.clock, whole.end)]
    assert sum(units) % SUMS.prime == of(whole)


def test_long_runs_are_summed_in_parts_with_the_same_result() -> None:
    for whole in (
        text("😀 some words, " * 3000),
        item(ANY, var_uint(40_000) + b"".join(encode_any(n % 300) for n in range(40_000)), 40_000),
    ):
        parts = cut_left(whole, 20_001), cut_right(CLIENT, whole, 20_001)
        assert of(*parts) == of(whole)


SAME = {
    "integers and floats": (b"\x7d\5", b"\x7c" + packing.pack(">f", 5), b"\x7b" + packing.pack(">d", 5)),
    "large integers": (encode_any(2**40), b"\x7d\x80" + var_uint(2**34)),
    "zero": (b"\x7d\0", b"\x7d\x40", b"\x7b" + packing.pack(">d", -0.0)),
    "floats": (b"\x7c" + packing.pack(">f", 0.5), b"\x7b" + packing.pack(">d", 0.5)),
    "order of members": (encode_any({"a": 1, "b": [2]}), encode_any({"b": [2], "a": 1})),
    "repeated member": (
        b"\x76\2" + var_string("a") + b"\x78" + var_string("a") + b"\x79",
        encode_any({"a": False}),
    ),
    "inside of others": (encode_any([{"a": [5]}]), b"\x75\1\x76\1\1a\x75\1\x7c" + packing.pack(">f", 5)),
}  # fmt: skip


@pytest.mark.parametrize("encodings", SAME.values(), ids=SAME)
def test_another_encoding_of_a_value_changes_nothing(encodings: tuple[bytes, ...]) -> None:
    assert len({of(value(encoded)) for encoded in encodings}) == 1


def test_another_text_of_a_json_value_changes_nothing() -> None:
    texts = ('{"a":1,"b":[0.5]}', '{ "b": [5e-1], "a": 1.0 }')
    for kind, before in ((JSON, b"\1"), (EMBED, b""), (FORMAT, var_string("bold"))):
        assert len({of(item(kind, before + var_string(text))) for text in texts}) == 1


def test_different_contents_have_different_sums() -> None:
    values = (
        b"\x7f", b"\x7e", b"\x79", b"\x78", encode_any(0), encode_any(1), encode_any(-1), encode_any(""),
        encode_any("1"), encode_any("0"), b"\x74\0", b"\x74\0011", b"\x7a" + (1).to_bytes(8), encode_any(1.5),
        b"\x7b" + packing.pack(">d", float("nan")), b"\x7b" + packing.pack(">d", float("inf")),
        encode_any([]), encode_any({}), encode_any([None]), encode_any([[]]), encode_any({"a": 1}),
        encode_any({"a": 2}),
        encode_any({"b": 1}), encode_any(2**60), encode_any(2**60 + 1), encode_any(float(2**60)),
    )  # fmt: skip
    contents = [value(encoded) for encoded in values]
    contents += [item(JSON, b"\1" + var_string(t)) for t in ("0", "1", "null", "undefined", "{}")]
    contents += [item(EMBED, var_string(t)) for t in ("0", "1", "null", "{}")]
    contents += [item(FORMAT, var_string(k) + var_string(v)) for k in "ab" for v in "12"]
    contents += [item(BINARY, var_string(t)) for t in ("", "1", "\0")]
    contents += [item(TYPE, t) for t in (b"\0", b"\1", b"\3\1p", b"\3\1q")]
    contents += [text(t) for t in ("a", "b", "\0", "\ufffd", "\0\0", "ab", "ba", "😀", "😁")]
    contents.append(gc_struct(3, 1))
    sums = [of(c, deleted=((CLIENT, 3, 4),) if c.kind == GC else ()) for c in contents]
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize("content", [text("ab"), NUMBERS, item(TYPE, b"\1")])
def test_different_places_have_different_sums(content: Struct) -> None:
    places: list[dict[str, object]] = [
        {}, {"clock": 4}, {"origin": (1, 5)}, {"origin": (2, 4)}, {"origin": (CLIENT, 2)}, {"origin": (CLIENT, 1)},
        {"right_origin": (1, 4)}, {"right_origin": (1, 5)}, {"right_origin": (2, 4)},
        {"origin": None, "right_origin": (1, 4)}, {"origin": None}, {"origin": None, "root": "/other"},
        {"origin": (CLIENT, 2), "right_origin": (1, 4)},
    ]  # fmt: skip
    raw, length = content.raw[content.content_at :], content.length
    sums = [of(item(content.kind, raw, length, **place)) for place in places]  # type: ignore[arg-type]
    keyed = b"\x28\1\4/all\1k" + b"\1\x78"
    sums.append(of(Struct(ANY, 3, 1, None, None, "/all", "k", keyed, len(keyed) - 2)))
    assert len(set(sums)) == len(sums)


def test_the_bit_of_a_key_that_is_not_there_changes_nothing() -> None:
    plain = value(b"\x78")
    assert of(plain) == of(plain._replace(raw=bytes((plain.raw[0] | 0x20,)) + plain.raw[1:]))


def test_a_deleted_range_is_the_sum_of_its_units_and_hides_their_content_and_no_place() -> None:
    ranges = [SUMS.deleted(CLIENT, 3000, 3500), SUMS.deleted(CLIENT, 3500, 70_000)]
    assert sum(ranges) % SUMS.prime == SUMS.deleted(CLIENT, 3000, 70_000)
    every = (CLIENT, 3, 7)
    for form in (NUMBERS, text("abcd"), with_content(NUMBERS, DELETED, 4, b"\4")):
        assert of(form, deleted=(every,)) == of(NUMBERS, deleted=(every,))
    elsewhere = [text("abcd", origin=None), text("abcd", right_origin=(1, 5)), gc_struct(3, 4)]
    sums = [of(form, deleted=(every,)) for form in (NUMBERS, *elsewhere)]
    assert len(set(sums)) == len(sums)
    others = {
        of(NUMBERS),
        of(NUMBERS, deleted=((CLIENT, 3, 6),)),
        of(NUMBERS, deleted=((8, 3, 7),)),
    }
    assert len({of(NUMBERS, deleted=(every,)), *others}) == 4


def test_half_of_a_surrogate_pair_whose_other_half_is_deleted_is_a_replacement_character() -> None:
    whole = text("a😀b")
    cut = cut_left(whole, 2), cut_right(CLIENT, whole, 2)
    for half in ((CLIENT, 4, 5), (CLIENT, 5, 6)):
        assert of(whole, deleted=(half,)) == of(*cut, deleted=(half,))


def test_another_key_gives_other_sums() -> None:
    other = UnitSums(b"another key")
    assert other.prime != SUMS.prime
    assert other.live(CLIENT, NUMBERS) != SUMS.live(CLIENT, NUMBERS)


def test_the_prime_is_one_and_the_same_in_every_version() -> None:
    assert is_prime(2**127 - 1)
    assert not is_prime(2**127 + 1)
    assert not is_prime((2**31 - 1) * (2**61 - 1))
    assert not is_prime(3215031751)
    assert derive_prime(b"") == UnitSums().prime
    assert derive_prime(b"").bit_length() == 127
    assert f"{derive_prime(b''):x}" == "6ebbf1590d061ecdfc0a87ed97f3b19d"
