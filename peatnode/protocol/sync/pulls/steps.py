"""Parts of a pull that know nothing of its queues: what is wanted, two answers as one, the order of the tree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from peatnode.model.documents import BucketEntry, Wanted
from peatnode.model.peer_limits import MAX_TREE_KEY_BYTES, WANTED_BYTES, WANTED_PER_ASK
from peatnode.model.tree import FAN_OUT, LEVELS
from peatnode.protocol.sync.ask import PeerAnswer
from peatnode.protocol.wire.errors import PeerFault

OwnT = TypeVar("OwnT")
ItemT = TypeVar("ItemT")


def is_wanted(remote: BucketEntry, local: BucketEntry | None) -> bool:
    if local is None or remote.incarnation > local.incarnation:
        return True
    if remote.incarnation < local.incarnation or local.is_deleted:
        return False
    return remote.is_deleted or remote.fingerprint != local.fingerprint


def check_advance(tree_key: bytes, next_tree_key: bytes) -> None:
    """Raises PeerFault if an answer does not go on from one tree key to a later one."""
    if not tree_key < next_tree_key or len(next_tree_key) > MAX_TREE_KEY_BYTES:
        raise PeerFault("malformed answer", "a part of the tree that does not advance")


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


def take_ascending(queue: deque[int], count: int) -> tuple[int, ...]:
    """At least one, and none that is below the one before it."""
    taken = [queue.popleft()]
    while queue and len(taken) < count and queue[0] > taken[-1]:
        taken.append(queue.popleft())
    return tuple(taken)


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
    """The order in which a pull compares the tree: from a tree key on, and what is before it last.

    It tells how far the comparison has come, so that the next pull can go on there. A place is a tree key, or the
    first bytes of one.
    """

    __slots__ = ("_asked", "first")

    def __init__(self, first: bytes = b"") -> None:
        self.first = first
        """Where the comparison begins."""
        self._asked: list[bytes] = []

    def sorted(self, level: int, indexes: list[int]) -> list[int]:
        """Nodes of one level, in the order in which they are compared."""
        if not self.first:
            return indexes
        bucket, width = bucket_of(self.first, 0), FAN_OUT ** (LEVELS - level)
        return sorted(indexes, key=lambda index: ((index + 1) * width <= bucket, index))

    def place_of(self, level: int, index: int) -> bytes:
        """Where the comparison of a node begins: the node in which everything begins is the first one."""
        width = FAN_OUT ** (LEVELS - level)
        start = place_of_bucket(index * width)
        is_first = self.first and index == bucket_of(self.first, 0) // width
        return self.first if is_first else start

    def asked(self, place: bytes) -> None:
        """A step has begun, which compares the tree from this place on."""
        self._asked.append(place)

    def answered(self, place: bytes) -> None:
        self._asked.remove(place)

    def reached(self, waiting: list[bytes]) -> bytes:
        """The first place in this order from which the comparison is not complete; `waiting`: the places of what no
        step has begun to compare."""
        left = [*self._asked, *waiting]
        return min(left, key=lambda place: (place < self.first, place), default=b"")


def place_of_bucket(bucket: int) -> bytes:
    return bucket.to_bytes(2, "big")
