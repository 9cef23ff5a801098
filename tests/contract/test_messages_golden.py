"""A change to what the processes say to each other shows in review: update the golden file on purpose.

`python -m tests.contract.write_golden` is not offered: copy the text that the failing test prints.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from peatnode.ipc import messages
from peatnode.ipc.schema import describe_schema, message_classes

GOLDEN = Path(__file__).with_name("messages.golden")


def test_the_schema_is_the_golden_one() -> None:
    assert describe_schema() == GOLDEN.read_text()


def test_every_record_and_enum_within_a_message_is_part_of_the_schema() -> None:
    """What is not named in `messages` can be read from a link, and not be written to one."""
    named = {value for value in vars(messages).values() if isinstance(value, type)}
    assert {kind for cls in message_classes().values() for kind in _kinds_in(cls)} <= named


def _kinds_in(cls: type) -> Iterator[type]:
    for hint in typing.get_type_hints(cls).values():
        for kind in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(kind):
                assert isinstance(kind, type)
                yield kind
                yield from _kinds_in(kind)
            elif isinstance(kind, type) and issubclass(kind, StrEnum):
                yield kind
