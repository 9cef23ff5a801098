"""The base classes of the messages between the processes of a node."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar


class Message:
    """A message, which is the content of one frame. TAG identifies its class."""

    __slots__ = ()
    TAG: ClassVar[str]


ReplyT_co = TypeVar("ReplyT_co", bound=Message, covariant=True)


class Ask(Message, Generic[ReplyT_co]):
    """A request with one answer, whose class is the type parameter."""

    __slots__ = ()


class Follow(Message, Generic[ReplyT_co]):
    """A request that is answered by a stream; the type parameter is the class of its events, or a union."""

    __slots__ = ()
