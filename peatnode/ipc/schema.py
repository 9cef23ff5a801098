"""The classes of `messages` by their tags, and the text form of the schema. No I/O."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from enum import StrEnum
from typing import Any

from peatnode.ipc import messages
from peatnode.ipc.messages import Message


def message_classes() -> dict[str, type[Message]]:
    """All classes of `messages` that have a tag, by tag."""
    found: dict[str, type[Message]] = {}
    for value in vars(messages).values():
        if inspect.isclass(value) and issubclass(value, Message) and "TAG" in vars(value):
            if value.TAG in found:
                raise AssertionError(f"two messages are tagged {value.TAG!r}")
            found[value.TAG] = value
    return found


def describe_schema() -> str:
    """The contract as text, one field a line, as in `tests/contract/messages.golden`."""
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
        events = typing.get_args(base)[0]
        return " ->> " + " | ".join(cls.__name__ for cls in typing.get_args(events) or (events,))
    return ""
