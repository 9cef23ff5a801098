"""What the decoder refuses, each with the reason in its name."""

import pytest

from peatnode.documents.limits import MAX_DEPTH, NESTS_TOO_DEEP, UpdateLimits
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.projection import project
from peatnode.documents.yjs.state_vector import decode_state_vector
from peatnode.documents.yjs.update import decode_update, encode_update
from peatnode.errors import MalformedUpdate
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue

ROOT = b"\1\4root"
TEXT = b"\1\4text"
COUNT = b"\xff\xff\xff\xff\x0f"  # 2**32 - 1


def update(*structs: bytes, client: int = 5, clock: bytes = b"\0", deleted: bytes = b"\0") -> bytes:
    """One client's structs."""
    return bytes((1, len(structs), client)) + clock + b"".join(structs) + deleted


def any_item(value: bytes, key: bytes = b"k") -> bytes:
    return b"\x28" + ROOT + bytes((len(key),)) + key + b"\1" + value


PLAIN = any_item(b"\x77\1v")
NESTED = 50_000

CRASHES_AN_ENGINE = {
    "count of clients": COUNT,
    "count of structs": b"\1" + COUNT + b"\5\0",
    "count of ranges": b"\0\1\5" + COUNT,
    "count of clients in the delete set": b"\0" + COUNT,
    "array of more values than bytes": update(any_item(b"\x75" + COUNT)),
    "object of more members than bytes": update(any_item(b"\x76" + COUNT)),
    "content of more values than bytes": update(b"\x28" + ROOT + b"\1k" + COUNT),
    "string longer than the bytes": update(b"\4" + TEXT + COUNT),
    "string a GiB long": update(b"\4" + TEXT + b"\x80\x80\x80\x80\4a"),
    "deep Any arrays": update(any_item(b"\x75\1" * NESTED + b"\x7e")),
    "deep Any objects": update(any_item(b"\x76\1\1a" * NESTED + b"\x7e")),
    "deep JSON": update(b"\5" + TEXT + b"\xa0\x8d\6" + b"[" * NESTED + b"]" * NESTED),
    "a little too deep Any": update(any_item(b"\x75\1" * 61 + b"\x7e")),
    "a little too deep JSON": update(b"\5" + TEXT + b"\x7a" + b"[" * 61 + b"]" * 61),
    "a key of too many levels": update(b"\x28" + ROOT + b"\x7a" + b"/a" * 61 + b"\1\x7e"),
    "invalid UTF-8 in text": update(b"\4" + TEXT + b"\2\xff\xfe"),
    "invalid UTF-8 in a value": update(any_item(b"\x77\1\xff")),
    "invalid UTF-8 in a key": update(any_item(b"\x7e", key=b"\xc3")),
    "invalid UTF-8 in a root name": update(b"\4\1\1\x80\1a"),
    "invalid UTF-8 in an object's key": update(any_item(b"\x76\1\1\xff\x7e")),
    "lone surrogate in text": update(b"\4" + TEXT + b"\3\xed\xa0\x80"),
    "lone surrogate in a key": update(any_item(b"\x7e", key=b"\xed\xa0\x80")),
    "lone surrogate in JSON": update(b"\5" + TEXT + b'\x08"\\ud800"'),
    "unknown type": update(b"\7" + ROOT + b"\7"),
    "sub-document": update(b"\x09" + ROOT + b"\1g\x76\0"),
    "many sets of one key without an origin": update(*[PLAIN] * 100),
}  # fmt: skip

MALFORMED = {
    "nothing": b"",
    "no delete set": b"\0",
    "something after it": b"\0\0\0",
    "client twice": b"\2\1\5\0" + PLAIN + b"\1\5\1" + any_item(b"\x7e", key=b"j") + b"\0",
    "number beyond 2**53": b"\1\1" + b"\xff" * 7 + b"\x1f\0" + PLAIN + b"\0",
    "number without end": b"\x80" * 100,
    "number not in its shortest form": b"\x80\0\0",
    "clock beyond the limit": update(PLAIN, clock=b"\xff\xff\xff\xff\x1f"),
    "length beyond the limit": update(b"\0\xff\xff\xff\xff\x1f"),
    "deletion beyond the limit": b"\0\1\5\1\1" + b"\xff\xff\xff\xff\x1f",
    "content unknown": update(b"\x0b" + ROOT),
    "flags on GC": update(b"\x80\1"),
    "flags on a skip": update(b"\x8a\1"),
    "parent unknown": update(b"\x08\2\1a\1\x7e"),
    "GC of no length": update(b"\0\0"),
    "empty text": update(b"\4" + TEXT + b"\0"),
    "no values": update(b"\x28" + ROOT + b"\1k\0"),
    "origin in its own future": update(b"\x88\5\0\1\x7e"),
    "right origin in its own future": update(b"\x48\5\1\1\x7e"),
    "parent in its own future": update(b"\x08\0\5\0\1\x7e"),
    "tag of a value unknown": update(any_item(b"\x73")),
    "JSON broken": update(b"\5" + TEXT + b"\1{"),
    "JSON with NaN": update(b"\5" + TEXT + b"\3NaN"),
    "JSON value broken": update(b"\2" + ROOT + b"\1\2{]"),
}  # fmt: skip


@pytest.mark.parametrize("data", CRASHES_AN_ENGINE.values(), ids=CRASHES_AN_ENGINE)
def test_what_kills_an_engine_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode_update(data)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode_update(data)


def test_what_the_cases_are_made_of_is_taken() -> None:
    for value in (
        b"\x7e",
        b"\x75\1" * MAX_DEPTH + b"\x7e",
        b"\x7d\x81\x01",
        b"\x7a" + b"\1" * 8,
        b"\x74\1a",
    ):
        raw = update(any_item(value), any_item(value, key=b"j"), deleted=b"\1\5\1\0\1")
        assert encode_update(decode_update(raw)) == raw
    for struct in (b"\0\5", b"\7" + ROOT + b"\5\1h", b"\2" + ROOT + b"\2\1" + b"1\x09undefined"):
        assert len(decode_update(update(struct)).structs[5]) == 1


@pytest.mark.parametrize("size", range(1, 26))
def test_a_truncated_update_is_refused(size: int) -> None:
    raw = update(PLAIN, b"\x84\5\0\2hi", deleted=b"\1\5\1\0\1")
    with pytest.raises(MalformedUpdate):
        decode_update(raw[: min(size, len(raw) - 1)])


@pytest.mark.parametrize(
    "limits",
    [
        UpdateLimits(max_bytes=20),
        UpdateLimits(max_structs=1),
        UpdateLimits(max_clients=0),
        UpdateLimits(max_clock=1),
    ],
)
def test_limits_hold(limits: UpdateLimits) -> None:
    raw = update(PLAIN, any_item(b"\x7e", key=b"j"))
    decode_update(raw)
    with pytest.raises(MalformedUpdate):
        decode_update(raw, limits)


@pytest.mark.parametrize(
    "data",
    [b"", COUNT, b"\x80\x80\x80\x80\1", b"\1\5", b"\0\0", b"\2\5\1\5\2", b"\1\5" + COUNT + b"\0"],
)
def test_a_malformed_state_vector_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode_state_vector(data)


IN_GC = update(b"\0\1", b"\x28\0\5\0\1k\1\x77\1v")
IN_A_VALUE = update(PLAIN, b"\x28\0\5\0\1k\1\x77\1v")
HOOK = update(b"\x27" + ROOT + b"\1k\5\4hook")


@pytest.mark.parametrize("data", [IN_GC, IN_A_VALUE, HOOK])
def test_what_poisons_an_engine_only_in_its_place_is_projected_away(data: bytes) -> None:
    part = project(decode_update(data), lambda name: name == "root", flatten=True)
    again = decode_update(encode_update(part))
    assert again.state_vector() == decode_update(data).state_vector()
    kinds = {struct.kind for struct in again.structs[5]}
    assert kinds <= {0, 8}
    assert all(isinstance(s.parent, str) for s in again.structs[5] if s.kind)


def test_clients_that_wait_for_each_other_in_a_circle_are_missing() -> None:
    circle = decode_update(b"\2\1\6\0\x88\5\0\1\x7e\1\5\0\x88\6\0\1\x7e\0")
    assert missing_for(circle, {}) == {5: 1, 6: 1}
    assert missing_for(circle, {5: 1}) is None


def test_gaps_and_deletions_of_the_unknown_are_missing() -> None:
    gap = decode_update(update(PLAIN, b"\x0a\5", any_item(b"\x7e", key=b"j")))
    assert gap.state_vector() == {5: 1}
    assert missing_for(gap, {}) == {5: 6}
    assert missing_for(gap, {5: 6}) is None
    deletion = decode_update(b"\0\1\5\1\0\5")
    assert missing_for(deletion, {5: 4}) == {5: 5}
    assert missing_for(deletion, {5: 5}) is None


NESTED_BY_A_CLIENT = {
    "values": update(any_item(b"\x75\1" * (MAX_DEPTH + 1) + b"\x7e")),
    "JSON": update(b"\5" + TEXT + b"\x7a" + b"[" * 61 + b"]" * 61),
    "JSON far too deep": update(b"\5" + TEXT + b"\x80\x20" + b"[" * 4096),
    "a key": update(b"\x28" + ROOT + b"\x7a" + b"/a" * 61 + b"\1\x7e"),
}


@pytest.mark.parametrize("data", NESTED_BY_A_CLIENT.values(), ids=NESTED_BY_A_CLIENT)
def test_nesting_is_refused_with_the_sentence_of_every_edge(data: bytes) -> None:
    with pytest.raises(MalformedUpdate, match=NESTS_TOO_DEEP):
        decode_update(data)


@pytest.mark.parametrize("origin", ["client", "peer"])
def test_a_key_of_many_levels_does_not_stop_the_store(origin: str) -> None:
    """One update of a client with 300 slashes in a key ended the store: the value cannot be written as JSON."""
    deep = update(b"\x28\1\4root\xd8\4" + b"/a" * 300 + b"\1\x7e")
    replica = Replica(MemoryKeyValue(), 7)
    joined = replica.join(DocumentUpdate("c", "d", 1, False, 0.0, deep), origin)
    assert joined.outcome is Outcome.REFUSED
    assert NESTS_TOO_DEEP in joined.reason
