"""The sums of units of a document, modulo a secret prime: what its fingerprint is computed from.

A unit is what one clock of one client stands for. The sum of a document is the sum of its units in any order, so it
does not depend on how units are cut into structs. A unit adds, for a secret factor k of its client and its clock c:

- its place: k · 2^(16c) · the digit of its right origin if it is the continuation of the clock before it, else a keyed
  hash of its origins, parent and key. A garbage-collected unit has no place.
- alive: k · 2^(16c) · its digit. That of a text's unit is the UTF-16 unit itself, so a run of text is one large
  integer. The digit of another unit is a keyed hash of its canonical content. If such a unit is no continuation, it
  adds a keyed hash of its place and content instead.
- deleted: k' · 2^(16c), for another secret factor, so a range is a geometric sum. Whether a node has kept the content
  of a deleted unit does not matter, but its place does: what is alive beside it stands where it stands.

Different documents have equal sums by a chance of about 1 in 2^100, unless their author knows the key: their difference
is a polynomial in secret numbers, which would have to vanish modulo a secret prime.
"""

from __future__ import annotations

import struct as packing
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b

from peatnode.documents.content.canonical import canonical_contents, is_canonical
from peatnode.documents.content.primes import derive_prime
from peatnode.documents.yjs.lib0 import read_chunk
from peatnode.documents.yjs.structs import ANY, DELETED, GC, STRING, Id, Struct

SUM_BYTES = 16

_UNIT_BITS = 16
_PAGE_BITS = 10
"""A power is the product of two: one for the low bits of a clock, which are many, and one for the rest."""
_LOW = (1 << _PAGE_BITS) - 1
_CHUNK = 1 << 14
"""Units that are added up as one integer, so that the largest text needs no large memory."""
_LANES = 8 * SUM_BYTES // _UNIT_BITS
"""Of digits that are 8 units wide, every eighth fits into one integer without an overlap."""
_FEW = 24
"""Digests that are added up faster one by one."""
_MAX_CACHED = 4096
"""Entries of each cache, which is emptied when it is full."""
_MAX_CACHED_BYTES = 16
"""The longest content whose digit is cached: numbers and short words repeat."""
_RIGHT_ORIGIN, _FACTOR, _DELETED_FACTOR, _CHECK = b"R", b"F", b"D", b"check"
_PLACE_HEAD = packing.Struct(">cQQB").pack
_ANY = bytes((ANY,))
"""First bytes of what is hashed. Contents begin with their kind, a number below 32."""


class UnitSums:
    """Sums over the units of structs and of ranges, under one key of up to 64 bytes."""

    def __init__(self, key: bytes = b"") -> None:
        self.prime = derive_prime(key)
        self._keyed = blake2b(digest_size=SUM_BYTES, key=key)
        self._low = [pow(2, _UNIT_BITS * low, self.prime) for low in range(1 << _PAGE_BITS)]
        self._pages = {0: 1}
        self._per_unit = pow((1 << _UNIT_BITS) - 1, -1, self.prime)
        self._factors: dict[int, tuple[int, int]] = {}
        self._products: dict[tuple[int, int], tuple[int, int]] = {}
        self._digests: dict[bytes, bytes] = {}
        self._no_right_origin = self._number(_RIGHT_ORIGIN)
        self.check = self._digest(_CHECK)
        """Tells one key from another one, and does not tell the key."""

    def live(self, client: int, struct: Struct) -> int:
        """The sum of all units of an item that is not deleted, not reduced by the prime.

        The frequent case is written out: an item of a map, for the first time.
        """
        kind, clock, length, origin, _, _, key, raw, at = struct
        if kind == STRING or length > 1:
            return self.place(client, struct) + self.content(client, struct)
        if origin is None or origin[1] != clock - 1 or origin[0] != client:
            keyed = self._keyed.copy()
            info = raw[0] & _ORIGINS | (key is not None)
            keyed.update(_PLACE_HEAD(b"P", client, clock, info) + raw[1:at])
            place = int.from_bytes(keyed.digest(), "little")
            is_plain = kind == ANY and is_canonical(raw, at + 1)
            keyed.update(_ANY + raw[at + 1 :] if is_plain else _contents(struct)[0])
            return place + int.from_bytes(keyed.digest(), "little")
        digit = self._right_digit(struct.right_origin) + self._digits(_contents(struct))
        return self._term(client, clock, digit)

    def place(self, client: int, struct: Struct) -> int:
        """What all units of an item add for their places, which they keep when they are deleted."""
        clock, length = struct.clock, struct.length
        total = 0
        if _is_head(client, struct):
            total, clock, length = self._number(_place(client, struct)), clock + 1, length - 1
            if not length:
                return total
        digits = self._right_digit(struct.right_origin)
        if length > 1:
            digits *= (self._power(length) - 1) * self._per_unit % self.prime
        return total + self._term(client, clock, digits)

    def content(self, client: int, struct: Struct) -> int:
        """What all units of an item add for their contents, while they are not deleted."""
        clock = struct.clock
        if struct.kind == STRING:
            return self._term(client, clock, self._text_digits(struct))
        contents, total = _contents(struct), 0
        if _is_head(client, struct):
            total = self._number(_place(client, struct) + contents[0])
            if len(contents) == 1:
                return total
            clock, contents = clock + 1, contents[1:]
        return total + self._term(client, clock, self._digits(contents))

    def deleted(self, client: int, start: int, end: int) -> int:
        """The sum of the units of a range that are all deleted."""
        if end == start + 1:
            return self._bases(client, start)[1] * self._low[start & _LOW] % self.prime
        difference = self._power(end) - self._power(start)
        return self._factors_of(client)[1] * difference * self._per_unit % self.prime

    def unit(self, client: int, struct: Struct, clock: int) -> int:
        """What the unit of a clock adds as its struct says it: also a half of a surrogate pair counts as what it is."""
        if struct.kind in (GC, DELETED):
            return self.deleted(client, clock, clock + 1)
        at = clock - struct.clock
        is_head = at == 0 and _is_head(client, struct)
        place = _place(client, struct) if is_head else b""
        total = self._number(place) if is_head else 0
        digit = 0 if is_head else self._right_digit(struct.right_origin)
        if struct.kind == STRING:
            units = _text(struct).encode("utf-16-le")[2 * at : 2 * at + 2]
            digit += int.from_bytes(units, "little")
        elif is_head:
            total += self._number(place + _contents(struct)[0])
        else:
            digit += self._digits(_contents(struct)[at : at + 1])
        return (total + self._term(client, clock, digit)) % self.prime

    # --- the parts of a sum

    def _term(self, client: int, clock: int, digits: int) -> int:
        """The sum of units from `clock` on with these digits, as one number."""
        factor = self._bases(client, clock)[0] * self._low[clock & _LOW] % self.prime
        return factor * digits % self.prime

    def _right_digit(self, right_origin: Id | None) -> int:
        if right_origin is None:
            return self._no_right_origin
        return self._number(_RIGHT_ORIGIN + _id_bytes(right_origin))

    def _text_digits(self, struct: Struct) -> int:
        total = at = 0
        for units in _text_chunks(_text(struct)):
            total += int.from_bytes(units, "little") % self.prime * self._power(at)
            at += len(units) // 2
        return total

    def _digits(self, contents: Sequence[bytes]) -> int:
        total = 0
        if len(contents) <= _FEW:
            for content in reversed(contents):
                total = (total << _UNIT_BITS) + int.from_bytes(self._digest(content), "little")
            return total
        for start in range(0, len(contents), _CHUNK):
            digests = [self._digest(content) for content in contents[start : start + _CHUNK]]
            chunk = 0
            for lane in range(min(_LANES, len(digests))):
                number = int.from_bytes(b"".join(digests[lane::_LANES]), "little")
                chunk += number << lane * _UNIT_BITS
            total += chunk % self.prime * self._power(start)
        return total

    def _digest(self, content: bytes) -> bytes:
        digest = self._digests.get(content)
        if digest is None:
            keyed = self._keyed.copy()
            keyed.update(content)
            digest = keyed.digest()
            if len(content) <= _MAX_CACHED_BYTES:
                if len(self._digests) >= _MAX_CACHED:
                    self._digests.clear()
                self._digests[content] = digest
        return digest

    def _number(self, message: bytes) -> int:
        keyed = self._keyed.copy()
        keyed.update(message)
        return int.from_bytes(keyed.digest(), "little")

    def _factors_of(self, client: int) -> tuple[int, int]:
        factors = self._factors.get(client)
        if factors is None:
            if len(self._factors) >= _MAX_CACHED:
                self._factors.clear()
            number = client.to_bytes(8)
            factors = self._number(_FACTOR + number), self._number(_DELETED_FACTOR + number)
            self._factors[client] = factors
        return factors

    def _bases(self, client: int, clock: int) -> tuple[int, int]:
        """The factors of a client, each times the power of the high bits of a clock."""
        at = client, clock >> _PAGE_BITS
        bases = self._products.get(at)
        if bases is None:
            if len(self._products) >= _MAX_CACHED:
                self._products.clear()
            live, deleted = self._factors_of(client)
            page = self._power(clock & ~_LOW)
            bases = live * page % self.prime, deleted * page % self.prime
            self._products[at] = bases
        return bases

    def _power(self, clock: int) -> int:
        """2^(16 · clock)"""
        number = clock >> _PAGE_BITS
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _MAX_CACHED:
                self._pages = {0: 1}
            page = pow(2, _UNIT_BITS * number << _PAGE_BITS, self.prime)
            self._pages[number] = page
        return page * self._low[clock & _LOW] % self.prime


@cache
def unkeyed_sums() -> UnitSums:
    """Those of the empty key, which everybody can compute."""
    return UnitSums()


def _is_head(client: int, struct: Struct) -> bool:
    """Whether the first unit is not the continuation of the clock before it."""
    origin = struct.origin
    return origin is None or origin[1] != struct.clock - 1 or origin[0] != client


def _contents(struct: Struct) -> list[bytes]:
    """The kind and the canonical content of each unit."""
    raw, at = struct.raw, struct.content_at
    if struct.kind == ANY and struct.length == 1 and is_canonical(raw, at + 1):
        return [_ANY + raw[at + 1 :]]  # the most frequent content
    return canonical_contents(struct)


def _id_bytes(at: Id) -> bytes:
    return at[0].to_bytes(8) + at[1].to_bytes(8)


_ORIGINS = 0xC0
"""The bits of a struct's first byte that say which origins follow. Writers set the bit of the key as they like."""


def _place(client: int, struct: Struct) -> bytes:
    """All that is said about the place of a struct's first unit; `raw` says it in one way only."""
    info = struct.raw[0] & _ORIGINS | (struct.key is not None)
    return _PLACE_HEAD(b"P", client, struct.clock, info) + struct.raw[1 : struct.content_at]


def _text(struct: Struct) -> str:
    return read_chunk(struct.raw, struct.content_at)[0].decode()


def _text_chunks(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        yield text[start : start + _CHUNK].encode("utf-16-le")
