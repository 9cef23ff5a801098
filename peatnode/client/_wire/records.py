"""Decodes JSON objects to dataclasses and encodes them, from the declared fields of the class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from peatnode.client._wire.fields import Fields

RecordT = TypeVar("RecordT")

Read = Callable[[Fields, str], Any]

_SCALARS: dict[Any, Read] = {
    str: Fields.text,
    int: Fields.integer,
    float: Fields.number,
    bool: Fields.boolean,
    int | None: Fields.integer_or_none,
    float | None: Fields.number_or_none,
    tuple[str, ...]: Fields.texts,
    Mapping[str, Any]: lambda content, _: content.content,
}
"""The reader of each type of field. A field of type Mapping receives the whole object."""


def decode_record(kind: type[RecordT], content: Fields) -> RecordT:
    """A field that the object lacks has the default of the record. Raises UnexpectedAnswer."""
    values: dict[str, Any] = {}
    get = content.get
    for field in _readers(kind):  # type: ignore[arg-type]  # a class can be hashed
        value = get(field.name)
        if type(value) is field.plain:  # nearly all fields
            values[field.argument] = value
        elif field.is_required or field.name in content:
            values[field.argument] = field.read(content, field.name)
    return kind(**values)


def record_content(record: Any) -> dict[str, Any]:
    """The JSON object of a record, without its Mapping, which repeats the whole response."""
    return {
        json_name(field): _plain(value)
        for field in fields(record)
        if not isinstance(value := getattr(record, field.name), Mapping)
    }


def json_name(field: Field[Any]) -> str:
    """The name of the field in JSON."""
    name: str = field.metadata.get("name", field.name)
    return name


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return record_content(value) if is_dataclass(value) else value


@dataclass(frozen=True, slots=True)
class FieldReader:
    """How a field of a record is read."""

    argument: str
    name: str
    """Its name in JSON."""
    is_required: bool
    """Whether it has no default."""
    plain: type | None
    """A value of this type is the value of the field. None: `read` decides."""
    read: Read


@cache
def _readers(kind: type[Any]) -> tuple[FieldReader, ...]:
    hints = get_type_hints(kind)
    return tuple([_field_reader(field, hints[field.name]) for field in fields(kind)])


def _field_reader(field: Field[Any], hint: Any) -> FieldReader:
    plain = hint if hint in (str, bool, int, float) else None
    if hint in (int | None, float | None) and field.default in (None, MISSING):
        plain = NoneType
    read = _reader_of(field, hint)
    return FieldReader(field.name, json_name(field), field.default is MISSING, plain, read)


def _reader_of(field: Field[Any], hint: Any) -> Read:
    return Fields.signed_or_none if field.metadata.get("is_signed") else _reader(hint)


def _reader(hint: Any) -> Read:
    if hint in _SCALARS:
        return _SCALARS[hint]
    options = [option for option in get_args(hint) if option is not NoneType]
    if NoneType in get_args(hint):  # a record or records, or null
        read = _reader(options[0])
        return lambda content, name: read(content, name) if content.has_value(name) else None
    if is_dataclass(hint):
        return lambda content, name: _record_of(hint, content, name)
    item = options[0]  # tuple[record, ...]
    return lambda content, name: decode_records(item, content.each(name))


def _record_of(kind: Any, content: Fields, name: str) -> Any:
    return decode_record(kind, Fields(content.mapping(name)))


def decode_records(kind: type[RecordT], items: Iterable[Fields]) -> tuple[RecordT, ...]:
    return tuple(decode_record(kind, item) for item in items)
