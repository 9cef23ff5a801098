"""Random texts that are JSON, or nearly: what clients send when nobody has looked at it."""

from __future__ import annotations

import json
from random import Random

NUMBERS = (
    *("0", "-0", "-0.0", "1", "-7", "1.0", "1.5", "1e3", "1E+2", "1e-400", "5e-324", "0.1"),
    *("1e15", "1e22", "1e308", "12345678901234567", "9007199254740993"),
    *("9223372036854775807", "-9223372036854775808"),
)
REFUSED_NUMBERS = (
    *("9223372036854775808", "-9223372036854775809", "18446744073709551615", "9" * 30),
    *("1e999", "-1e400", "NaN", "Infinity", "01", "+1", ".5", "1.", "0x1", "1_000"),
)

TEXTS = (
    "",
    "a",
    "_id",
    "_deleted",
    "_rev",
    "/",
    "~",
    "~0",
    "~1/a",
    "a/b",
    "0",
    "-",
    "type",
    "root",
    "array",
    "$ref",
    "__proto__",
    "\u0000",
    "".join(map(chr, range(32))),
    "\x7f\x85\xa0\u2028\u2029\ufeff",
    "\ufffd\uffff",
    "\U0001f600",
    "e\u0301",
    "\u00e9",
    "\u202e",
    "<script>",
    "'\"\\",
)
REFUSED_TEXTS = ('"\\ud800"', '"\\udc00\\ud800"', '"\x00"', '"\t"', '"\\x41"', '"\\u12"', '"open')
SPACES = ("", "", "", "", " ", "\t", "\r", "  ")


class JsonTexts:
    """Makes texts of documents. One in a few has something in it that no document can hold."""

    def __init__(self, rng: Random, depth: int, key_bytes: int) -> None:
        """`depth`, `key_bytes`: the limits, near which some texts are."""
        self._rng = rng
        self._depth = depth
        self._key_bytes = key_bytes
        self._may_be_wrong = False

    def document(self) -> bytes:
        self._may_be_wrong = self._rng.random() < 0.3
        kind = self._rng.random()
        if kind < 0.1:
            text = self._deep()
        elif kind < 0.13:
            text = self._value(2)
        else:
            text = self._object(self._rng.randint(1, 4))
        around = self._space() + text + self._space()
        return around.encode("utf-8", "surrogatepass")

    def _deep(self) -> str:
        """Objects or arrays in each other, about as deep as the limit."""
        levels = self._depth + self._rng.choice((-2, -1, -1, 0, 0, 1, 5))
        opened, closed = self._rng.choice((('{"a":', "}"), ("[", "]"), ('{"":[', "]}")))
        per = 1 if len(closed) == 1 else 2
        inner = self._rng.choice(("{}", "[]"))
        return (
            '{"a":' + opened * ((levels - 2) // per) + inner + closed * ((levels - 2) // per) + "}"
        )

    def _value(self, depth: int) -> str:
        kind = self._rng.random()
        if depth > 0 and kind < 0.25:
            return self._object(depth - 1)
        if depth > 0 and kind < 0.5:
            items = [self._value(depth - 1) for _ in range(self._rng.randint(0, 4))]
            return self._joined("[", items, "]")
        if kind < 0.6:
            return self._rng.choice(("null", "true", "false"))
        if kind < 0.8:
            return self._rng.choice(NUMBERS + REFUSED_NUMBERS * self._is_wrong())
        return self._text()

    def _object(self, depth: int) -> str:
        members = [
            f"{self._key()}{self._space()}:{self._space()}{self._value(depth - 1)}"
            for _ in range(self._rng.randint(0, 5))
        ]
        return self._joined("{", members, "}")

    def _joined(self, opened: str, parts: list[str], closed: str) -> str:
        comma = "," if self._is_wrong() and self._rng.random() < 0.2 else ""
        return opened + self._space() + ",".join(parts) + comma + self._space() + closed

    def _key(self) -> str:
        if self._rng.random() < 0.05:
            size = self._key_bytes + self._rng.choice((-1, 0, 0, 1))
            return '"' + "k" * size + '"'
        return self._text()

    def _text(self) -> str:
        if self._is_wrong() and self._rng.random() < 0.1:
            return self._rng.choice(REFUSED_TEXTS)
        text = self._rng.choice(TEXTS)
        return json.dumps(text, ensure_ascii=self._rng.random() < 0.5)

    def _space(self) -> str:
        return self._rng.choice(SPACES)

    def _is_wrong(self) -> bool:
        return self._may_be_wrong and self._rng.random() < 0.3
