"""The nodes that have left the mesh for good, as far as this node knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from peatnode.model.members import Departure
from peatnode.model.peer_limits import MAX_DEPARTURES

SKEW_SECONDS = 60.0
"""A departure that is further in the future than this has a time that means nothing here."""

EXCUSE_SECONDS = 600.0
"""For so long after its departure nobody misses a node that is expected by name: the list follows in the meantime, as
a mounted ConfigMap does within a minute or two. A list that still names it then means it."""


class Departures:
    """One departure for each node id, the last ones.

    A departure is refuted when the node proves itself again. What was refuted is remembered while this process
    runs, so that a peer that has not heard of it cannot bring it back.
    """

    def __init__(self) -> None:
        self._by_node: dict[str, Departure] = {}
        self._refuted: dict[str, Departure] = {}

    def __iter__(self) -> Iterator[Departure]:
        return iter(self._by_node.values())

    def __len__(self) -> int:
        return len(self._by_node)

    def get(self, node_id: str) -> Departure | None:
        return self._by_node.get(node_id)

    def is_excused(self, node_id: str, now: float) -> bool:
        """Whether the node has left for good so recently that it is not missed. `now`: Unix seconds."""
        departure = self._by_node.get(node_id)
        return departure is not None and now - departure.at < EXCUSE_SECONDS

    def add(self, departure: Departure) -> None:
        """It replaces an earlier one of the same node."""
        self._by_node.pop(departure.node_id, None)
        self._by_node[departure.node_id] = departure
        if len(self._by_node) > MAX_DEPARTURES:
            del self._by_node[next(iter(self._by_node))]

    def is_news(self, departure: Departure) -> bool:
        """Whether it says more than what is known of the node. Otherwise it is not passed on."""
        known = self._by_node.get(departure.node_id)
        if known is not None:
            return known.instance != departure.instance and departure.at > known.at
        return self._refuted.get(departure.node_id) != departure

    def refute(self, departure: Departure) -> None:
        """The node is there: this departure counts no more."""
        if len(self._refuted) >= MAX_DEPARTURES:
            del self._refuted[next(iter(self._refuted))]
        self._refuted[departure.node_id] = departure

    def drop(self, node_id: str) -> bool:
        """The node has proved itself again. Whether a departure of it was known."""
        departure = self._by_node.pop(node_id, None)
        if departure is not None:
            self.refute(departure)
        return departure is not None

    def expire(self, before: float) -> bool:
        """Drops those that are older. Whether there was one."""
        old = [departure.node_id for departure in self if departure.at < before]
        for node_id in old:
            del self._by_node[node_id]
        return bool(old)

    def load(self, departures: Iterable[Departure]) -> None:
        """Adds those that an earlier process kept, unless this one knows better."""
        for departure in departures:
            if self.is_news(departure):
                self.add(departure)


def ends(departure: Departure, instance: str, last_seen: float, now: float) -> bool:
    """Whether a departure is about the member that was last seen then, with this instance.

    It is if it names that instance, or if it came later: then this node has missed an instance in between.
    """
    if not instance or departure.instance == instance:
        return True
    return last_seen <= departure.at <= now + SKEW_SECONDS
