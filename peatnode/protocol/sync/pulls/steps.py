"""Parts of a pull that know nothing of its queues: what is wanted, two answers as one, the order of the tree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from peatnode.model.documents import BucketEntry, Wanted
from peatnode.model.peer_limits import WANTED_BYTES, WANTED_PER_ASK
from peatnode.model.tree import FAN_OUT, LEVELS
from peatnode.protocol.sync.ask import PeerAnswer

OwnT = TypeVar("OwnT")
ItemT = TypeVar("ItemT")


def is_wanted(remote: BucketEntry, local: BucketEntry | None) -> bool:
    if local is None or remote.incarnation > local.incarnation:
        return True
    if remote.incarnation < local.incarnation or local.is_deleted:
        return False
    return remote.is_deleted or remote.fingerprint != local.fingerprint


def bucket_of(tree_key: bytes, otherwise: int) -> int:
    """The bucket of a tree key, of which the first bytes are its number."""
    return int.from_bytes(tree_key[:2], "big") if tree_key else otherwise


class Join(Generic[OwnT]):
    """Calls `then` when the answers of the peer and of the store have both arrived, in any order."""

    __slots__ = ("_first", "_has", "_second", "_then")

    def __init__(self, then: Callable[[PeerAnswer | None, OwnT | None], None]) -> None:
        self._then = then
        self._first: PeerAnswer | None = None
        self._second: OwnT | None = None
        self._has = 0

    def take_first(self, answer: PeerAnswer | None) -> None:
        self._first = answer
        self._count()

    def take_second(self, answer: OwnT | None) -> None:
        self._second = answer
        self._count()

    def _count(self) -> None:
        self._has += 1
        if self._has == 2:
            self._then(self._first, self._second)


def take(queue: deque[ItemT], count: int) -> list[ItemT]:
    return [queue.popleft() for _ in range(min(count, len(queue)))]


def take_wanted(queue: deque[Wanted]) -> list[Wanted]:
    """What fits in one question."""
    taken: list[Wanted] = []
    size = 0
    while queue and len(taken) < WANTED_PER_ASK:
        size += len(queue[0].state_vector)
        if taken and size > WANTED_BYTES:
            break
        taken.append(queue.popleft())
    return taken


class TreeOrder:
    """The order in which a pull compares the parts of the tree: from a bucket on, and what is before it last.

    It tells how far the comparison has come, so that the next pull can go on there.
    """

    __slots__ = ("_asked", "_first")

    def __init__(self, first: int) -> None:
        self._first = first
        self._asked: list[int] = []

    def sorted(self, level: int, indexes: list[int]) -> list[int]:
        """Nodes of one level, in the order in which they are compared."""
        if not self._first:
            return indexes
        width = FAN_OUT ** (LEVELS - level)
        return sorted(indexes, key=lambda index: ((index + 1) * width <= self._first, index))

    def asked(self, level: int, index: int) -> None:
        """A step has begun, of which this is the first node."""
        self._asked.append(first_bucket(level, index))

    def answered(self, level: int, index: int) -> None:
        self._asked.remove(first_bucket(level, index))

    def reached(self, waiting: list[int]) -> int:
        """The first bucket in this order of which the comparison is not complete; `waiting`: the first buckets of the
        parts that no step has begun to compare."""
        left = [*self._asked, *waiting]
        return min(left, key=lambda bucket: (bucket < self._first, bucket), default=0)


def first_bucket(level: int, index: int) -> int:
    return int(index * FAN_OUT ** (LEVELS - level))
