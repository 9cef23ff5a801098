"""The neighbours of one peer, as it has told them."""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.model.peer_limits import INSTANCE_BYTES, MAX_NEIGHBOURS
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Neighbours
from peatnode.texts import is_name


class HeardNeighbours:
    """The instances that a peer is connected to, at most MAX_NEIGHBOURS.

    A connection delivers the lists in order and loses none, so a difference is always to what was told before it.
    """

    __slots__ = ("_by_instance", "_names")

    def __init__(self) -> None:
        self._by_instance: dict[bytes, str] = {}
        self._names: tuple[str, ...] | None = ()

    def __contains__(self, instance: bytes) -> bool:
        return instance in self._by_instance

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._by_instance)

    def __len__(self) -> int:
        return len(self._by_instance)

    @property
    def names(self) -> tuple[str, ...]:
        """Their node ids, sorted; that of twins several times."""
        if self._names is None:
            self._names = tuple(sorted(self._by_instance.values()))
        return self._names

    def receive(self, message: Neighbours) -> int:
        """Takes a list or a difference. Returns how many neighbours had no room. Raises PeerFault."""
        _check(message)
        self._names = None
        if message.is_whole:
            self._by_instance.clear()
        for instance in message.removed:
            self._by_instance.pop(instance, None)
        left_out = 0
        for node_id, instance in message.added:
            if len(self._by_instance) < MAX_NEIGHBOURS or instance in self._by_instance:
                self._by_instance[instance] = node_id
            else:
                left_out += 1
        return left_out


def _check(message: Neighbours) -> None:
    instances = [*message.removed, *[instance for _, instance in message.added]]
    if any(len(instance) != INSTANCE_BYTES for instance in instances):
        raise PeerFault("malformed message", "an instance of the wrong size")
    if not all(is_name(node_id) for node_id, _ in message.added):
        raise PeerFault("malformed message", "a neighbour whose name no node can have")
