"""Turns the classes of `messages` into checks of what comes off a link, and into the text of the golden schema."""

from __future__ import annotations

import dataclasses
import inspect
import operator
import types
import typing
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from peatnode.errors import MalformedFrame
from peatnode.ipc import messages
from peatnode.ipc.messages import Message

Read = Callable[[Any], Any]
"""Makes a field's value of what msgpack read, or raises MalformedFrame."""


def message_classes() -> dict[str, type[Message]]:
    """Every class of `messages` that has a tag, by tag."""
    found: dict[str, type[Message]] = {}
    for value in vars(messages).values():
        if inspect.isclass(value) and issubclass(value, Message) and "TAG" in vars(value):
            if value.TAG in found:
                raise AssertionError(f"two messages are tagged {value.TAG!r}")
            found[value.TAG] = value
    return found


def fields_getter(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """The fields of an instance as a tuple, in their order."""
    names = [field.name for field in dataclasses.fields(cls)]
    if not names:
        return lambda _: ()
    if len(names) == 1:
        get_one = operator.attrgetter(names[0])
        return lambda instance: (get_one(instance),)
    return operator.attrgetter(*names)


def record_reader(cls: type[Any]) -> Read:
    """A function from a tuple of wire values to an instance of `cls`."""
    hints = typing.get_type_hints(cls)
    readers = [
        _reader(hints[field.name], f"{cls.__name__}.{field.name}")
        for field in dataclasses.fields(cls)
    ]
    count = len(readers)

    def read(wire: Any) -> Any:
        if type(wire) is not tuple or len(wire) != count:
            raise MalformedFrame(f"{cls.__name__} takes {count} fields")
        return cls(*[reader(value) for reader, value in zip(readers, wire, strict=True)])

    return read


def _reader(hint: Any, where: str) -> Read:
    if hint is float:
        return _float_reader(where)
    if hint in (int, str, bytes, bool):
        return _exact_reader(hint, where)
    if inspect.isclass(hint) and issubclass(hint, StrEnum):
        return _enum_reader(hint, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return record_reader(hint)
    if typing.get_origin(hint) is tuple:
        return _tuple_reader(typing.get_args(hint), where)
    raise AssertionError(f"{where}: {hint!r} does not fit the wire")


def _exact_reader(kind: type, where: str) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise MalformedFrame(f"{where} is {type(value).__name__}, not {kind.__name__}")
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


def _tuple_reader(arguments: tuple[Any, ...], where: str) -> Read:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _reader(arguments[0], where)

        def read_many(value: Any) -> tuple[Any, ...]:
            if type(value) is not tuple:
                raise MalformedFrame(f"{where} is {type(value).__name__}, not a list")
            return tuple([item(element) for element in value])

        return read_many
    items = [_reader(argument, where) for argument in arguments]

    def read_fixed(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple or len(value) != len(items):
            raise MalformedFrame(f"{where} takes {len(items)} elements")
        return tuple([reader(element) for reader, element in zip(items, value, strict=True)])

    return read_fixed


def describe_schema() -> str:
    """The contract as text, one line a field: what `tests/contract/messages.golden` holds."""
    lines = [f"contract {messages.CONTRACT}"]
    for tag, cls in sorted(message_classes().items()):
        lines.append(f"\n{tag} = {cls.__name__}{_answer(cls)}")
        lines.extend(_field_lines(cls))
    records = [value for value in vars(messages).values() if _is_record(value)]
    for record in sorted(records, key=lambda cls: cls.__name__):
        lines.append(f"\nrecord {record.__name__}")
        lines.extend(_field_lines(record))
    for enum in sorted(_enums(), key=lambda cls: cls.__name__):
        lines.append(f"\nenum {enum.__name__} = {' | '.join(member.value for member in enum)}")
    return "\n".join(lines) + "\n"


def _is_record(value: Any) -> bool:
    return (
        inspect.isclass(value)
        and dataclasses.is_dataclass(value)
        and not issubclass(value, Message)
    )


def _enums() -> list[type[StrEnum]]:
    return [
        value
        for value in vars(messages).values()
        if inspect.isclass(value) and issubclass(value, StrEnum) and value is not StrEnum
    ]


def _field_lines(cls: Any) -> list[str]:
    return [
        f"  {field.name}: {field.type}"
        + ("" if field.default is dataclasses.MISSING else f" = {field.default!r}")
        for field in dataclasses.fields(cls)
    ]


def _answer(cls: type) -> str:
    base: Any = (
        types.get_original_bases(cls)[0]
        if hasattr(types, "get_original_bases")
        else getattr(cls, "__orig_bases__", (None,))[0]
    )
    origin = typing.get_origin(base)
    if origin is messages.Ask:
        return f" -> {typing.get_args(base)[0].__name__}"
    if origin is messages.Follow:
        told = typing.get_args(base)[0]
        return " ->> " + " | ".join(cls.__name__ for cls in typing.get_args(told) or (told,))
    return ""
