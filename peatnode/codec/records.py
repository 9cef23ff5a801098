"""The codec of dataclasses: a record becomes a msgpack array of its fields,
in the order of their declaration.

Fields are numbers, text, bytes, booleans, members of a StrEnum, tuples and records. The declarations are
read once, at import, and each field gets a small function that decodes it.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgpack

from peatnode.errors import MalformedFrame

Read = Callable[[Any], Any]
"""Converts a value that msgpack decoded to the value of a field, or raises MalformedFrame."""

_BUFFER_BYTES = 2048
"""Initial buffer of msgpack. Its default of 256 KiB would be mapped and unmapped for every message."""


@dataclass(frozen=True, slots=True)
class Strictness:
    """What a decoder accepts beyond the declaration."""

    takes_other_lengths: bool
    """Whether fields beyond the known ones are dropped, and missing trailing ones take their defaults."""
    takes_negatives: bool
    """Whether fields that are declared as int may be negative."""
    max_elements: int
    """Limit of each array; -1: as many elements as the content has bytes."""
    max_text_bytes: int
    """Limit of each text; -1: as many bytes as the content has."""


STRICT = Strictness(
    takes_other_lengths=False, takes_negatives=True, max_elements=-1, max_text_bytes=-1
)
"""For links between the processes of one node, which are of one version."""

TOLERANT = Strictness(
    takes_other_lengths=True,
    takes_negatives=False,
    max_elements=65_536,
    max_text_bytes=64 * 1024,
)
"""For connections between nodes: a peer may be of another version, and may be hostile."""


STORED = Strictness(
    takes_other_lengths=True, takes_negatives=True, max_elements=65_536, max_text_bytes=-1
)
"""For what this node has on disk: another version may have written it, with more or fewer fields at the end, and
damage must harm nothing else."""


# --- encoding -------------------------------------------------------------------------------------------------


def fields_getter(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """A function that returns the fields of an instance as a tuple, in the order of their declaration."""
    names = [field.name for field in dataclasses.fields(cls)]
    if not names:
        return lambda _: ()
    if len(names) == 1:
        get_one = operator.attrgetter(names[0])
        return lambda instance: (get_one(instance),)
    return operator.attrgetter(*names)


def make_packer(records: Iterable[type]) -> Callable[[tuple[Any, ...], Any], bytes]:
    """A function that packs `(*head, *fields)` of a record.
    `records` are all classes that may occur, nested ones included."""
    getters = {cls: fields_getter(cls) for cls in records}
    packer = msgpack.Packer

    def fields_of(record: Any) -> tuple[Any, ...]:
        return getters[type(record)](record)

    def pack(head: tuple[Any, ...], record: Any) -> bytes:
        packed: bytes = packer(default=fields_of, buf_size=_BUFFER_BYTES).pack(
            head + getters[type(record)](record)
        )
        return packed

    return pack


# --- decoding -------------------------------------------------------------------------------------------------


def unpack(content: bytes, strictness: Strictness, most_arrays: int = 0) -> Any:
    """Decodes msgpack that contains neither maps nor extensions. Raises MalformedFrame.

    `most_arrays`: how many arrays the content may have, itself included; 0: any number. An array of one takes 2 bytes
    here and 56 as a tuple, so long content of a peer needs a limit.
    """
    try:
        return msgpack.unpackb(
            content,
            use_list=False,
            max_array_len=strictness.max_elements,
            max_map_len=0,
            max_ext_len=0,
            max_str_len=strictness.max_text_bytes,
            list_hook=_array_counter(most_arrays) if most_arrays else None,
        )
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise MalformedFrame(f"not msgpack: {error}") from error


def _array_counter(most: int) -> Callable[[Any], Any]:
    left = most

    def count(array: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise MalformedFrame(f"more than {most} arrays")
        return array

    return count


def record_reader(cls: type[Any], strictness: Strictness) -> Read:
    """A function that converts a tuple of decoded values to an instance of `cls`,
    or raises MalformedFrame."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    readers = [
        _reader(hints[field.name], f"{cls.__name__}.{field.name}", strictness) for field in fields
    ]
    least = most = len(readers)
    if strictness.takes_other_lengths:
        least = sum(field.default is dataclasses.MISSING for field in fields)
        most = strictness.max_elements

    def read_each(wire: Any) -> Any:
        if type(wire) is not tuple or not least <= len(wire) <= most:
            raise MalformedFrame(f"{cls.__name__} takes {len(readers)} fields")
        return cls(*[reader(value) for reader, value in zip(readers, wire, strict=False)])

    kinds = [_wire_kind(hints[field.name]) for field in fields]
    others = [
        (at, reader)
        for at, (field, reader) in enumerate(zip(fields, readers, strict=True))
        if not _is_plain(hints[field.name], strictness)
    ]

    def read(wire: Any) -> Any:
        # Nearly all records have the declared types. One comparison then replaces the readers of the plain fields.
        if type(wire) is not tuple or [*map(type, wire)] != kinds:
            return read_each(wire)
        if not others:
            return cls(*wire)
        values = [*wire]
        for at, reader in others:
            values[at] = reader(values[at])
        return cls(*values)

    return read


def _wire_kind(hint: Any) -> type:
    """The type that msgpack reads for a field of its declared type."""
    if hint in (float, int, str, bytes, bool):
        return typing.cast(type, hint)
    return str if inspect.isclass(hint) and issubclass(hint, StrEnum) else tuple


def _is_plain(hint: Any, strictness: Strictness) -> bool:
    """Whether every value of the declared type is accepted as it is."""
    return hint in (float, str, bytes, bool) or (hint is int and strictness.takes_negatives)


def _reader(hint: Any, where: str, strictness: Strictness) -> Read:
    if hint is float:
        return _float_reader(where)
    if hint is int and not strictness.takes_negatives:
        return _count_reader(where)
    if hint in (int, str, bytes, bool):
        return _exact_reader(hint, where)
    if inspect.isclass(hint) and issubclass(hint, StrEnum):
        return _enum_reader(hint, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return record_reader(hint, strictness)
    if typing.get_origin(hint) is tuple:
        return _tuple_reader(typing.get_args(hint), where, strictness)
    raise AssertionError(f"{where}: {hint!r} cannot be encoded")


def _exact_reader(kind: type, where: str) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise MalformedFrame(f"{where} is {type(value).__name__}, not {kind.__name__}")
        return value

    return read


def _count_reader(where: str) -> Read:
    def read(value: Any) -> int:
        if type(value) is not int or value < 0:
            raise MalformedFrame(f"{where} is not an integer from 0")
        return value

    return read


def _float_reader(where: str) -> Read:
    def read(value: Any) -> float:
        if type(value) is float:
            return value
        if type(value) is int:
            return float(value)
        raise MalformedFrame(f"{where} is {type(value).__name__}, not float")

    return read


def _enum_reader(kind: type[StrEnum], where: str) -> Read:
    members = {member.value: member for member in kind}

    def read(value: Any) -> StrEnum:
        member = members.get(value) if type(value) is str else None
        if member is None:
            raise MalformedFrame(f"{where} is not one of {', '.join(members)}")
        return member

    return read


def _tuple_reader(arguments: tuple[Any, ...], where: str, strictness: Strictness) -> Read:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _many_reader(_reader(arguments[0], where, strictness), where)
    items = [_reader(argument, where, strictness) for argument in arguments]
    least = most = len(items)
    if strictness.takes_other_lengths:
        most = strictness.max_elements

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple or not least <= len(value) <= most:
            raise MalformedFrame(f"{where} takes {len(items)} elements")
        return tuple([reader(element) for reader, element in zip(items, value, strict=False)])

    return read


def _many_reader(item: Read, where: str) -> Read:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple:
            raise MalformedFrame(f"{where} is {type(value).__name__}, not a list")
        return tuple([item(element) for element in value])

    return read
