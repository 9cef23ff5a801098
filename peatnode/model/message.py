"""What makes a value a message between the processes of a node."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar


class Message:
    """What can be the content of a frame."""

    __slots__ = ()
    TAG: ClassVar[str]


ReplyT_co = TypeVar("ReplyT_co", bound=Message, covariant=True)


class Ask(Message, Generic[ReplyT_co]):
    """A question; its parameter names the answer."""

    __slots__ = ()


class Follow(Message, Generic[ReplyT_co]):
    """A question answered by a stream; its parameter names the events (a union where there are several)."""

    __slots__ = ()
