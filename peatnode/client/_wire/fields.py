"""Reads JSON objects from nodes of newer and older versions: a missing field has a default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from peatnode.client.errors import UnexpectedAnswer


class Fields:
    """One JSON object. A field of the wrong type raises UnexpectedAnswer."""

    __slots__ = ("_content", "get")

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.get: Callable[[str], Any] = content.get
        """The value of a name as it is; None: missing or null."""

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def has_value(self, name: str) -> bool:
        """Whether the field exists and is not null."""
        return self._content.get(name) is not None

    def _get(self, name: str, kinds: tuple[type, ...], kind: str) -> Any:
        value = self._content.get(name)
        if value is None or type(value) in kinds:
            return value
        if isinstance(value, kinds) and isinstance(value, bool) == (bool in kinds):
            return value
        raise UnexpectedAnswer(f"the field {name!r} of the response is not {kind}")

    def text(self, name: str, default: str = "") -> str:
        value = self._get(name, (str,), "a string")
        return default if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        value = self._get(name, (int, float), "a number")
        return default if value is None else int(value)

    def number(self, name: str, default: float = 0.0) -> float:
        value = self._get(name, (int, float), "a number")
        return default if value is None else float(value)

    def number_or_none(self, name: str) -> float | None:
        """None: missing, null, or negative, which is how older nodes report an unknown number."""
        value = self._get(name, (int, float), "a number")
        return None if value is None or value < 0 else float(value)

    def signed_or_none(self, name: str) -> float | None:
        """None: missing or null."""
        value = self._get(name, (int, float), "a number")
        return None if value is None else float(value)

    def integer_or_none(self, name: str) -> int | None:
        value = self.number_or_none(name)
        return None if value is None else int(value)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self._get(name, (bool,), "true or false")
        return default if value is None else bool(value)

    def mapping(self, name: str) -> dict[str, Any]:
        return dict(self._get(name, (dict,), "an object") or {})

    def mapping_or_none(self, name: str) -> dict[str, Any] | None:
        value = self._get(name, (dict,), "an object")
        return None if value is None else dict(value)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in self._get(name, (list, tuple), "a list") or ())

    def each(self, name: str) -> Iterator[Fields]:
        """The items of a list of objects."""
        for item in self._get(name, (list, tuple), "a list") or ():
            if not isinstance(item, dict):
                raise UnexpectedAnswer(
                    f"an item of the field {name!r} of the response is not an object"
                )
            yield Fields(item)

    @property
    def content(self) -> dict[str, Any]:
        return dict(self._content)
