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


TOLD_SECONDS = 10.0
"""A peer may tell of one departure that is news each so many seconds, and of MAX_DEPARTURES at once: the list that it
tells when it connects."""

SHARES = 4
"""All peers together may tell of so many times as many as one of them."""

ALL_TELLERS = ""


class Departures:
    """One departure for each node id, the last ones.

    A departure is refuted when the node proves itself again. What was refuted is remembered while this process
    runs, so that a peer that has not heard of it cannot bring it back.
    """

    def __init__(self) -> None:
        self._by_node: dict[str, Departure] = {}
        self._hearsay: dict[str, None] = {}
        """Node ids of those that this node has only heard of: they make room first."""
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

    def add(self, departure: Departure, *, is_hearsay: bool = False) -> None:
        """It replaces an earlier one of the same node. `is_hearsay`: the node was never a member here, so that
        whoever tells of it may have made it up."""
        self._take(departure.node_id)
        self._by_node[departure.node_id] = departure
        if is_hearsay:
            self._hearsay[departure.node_id] = None
        if len(self._by_node) > MAX_DEPARTURES:
            self._take(next(iter(self._hearsay or self._by_node)))

    def _take(self, node_id: str) -> Departure | None:
        self._hearsay.pop(node_id, None)
        return self._by_node.pop(node_id, None)

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
        departure = self._take(node_id)
        if departure is not None:
            self.refute(departure)
        return departure is not None

    def expire(self, before: float) -> bool:
        """Drops those that are older. Whether there was one."""
        old = [departure.node_id for departure in self if departure.at < before]
        for node_id in old:
            self._take(node_id)
        return bool(old)

    def load(self, departures: Iterable[Departure]) -> None:
        """Adds those that an earlier process kept, unless this one knows better."""
        for departure in departures:
            if self.is_news(departure):
                self.add(departure)


class TellerLimits:
    """How many departures that are news the peers may tell: each of them, and all together.

    Who has the secret can tell of any, and under any name. What is beyond is dropped: a later connection tells it
    again. A mesh from which more nodes leave at once hears the goodbye of each of them.
    """

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        """Time until which what a peer has told uses up its rate, by node id; that of all peers under ALL_TELLERS."""

    def take(self, teller: str, now: float) -> bool:
        """Whether this peer may tell of one more; counts it if so."""
        own = max(self._used.get(teller, now), now) + TOLD_SECONDS
        all_ = max(self._used.get(ALL_TELLERS, now), now) + TOLD_SECONDS / SHARES
        until = now + MAX_DEPARTURES * TOLD_SECONDS
        if own > until or all_ > until:
            return False
        self._used[teller], self._used[ALL_TELLERS] = own, all_
        if len(self._used) > 2 * SHARES * MAX_DEPARTURES:
            self._used = {name: used for name, used in self._used.items() if used > now}
        return True


def ends(departure: Departure, instance: str, last_seen: float, now: float) -> bool:
    """Whether a departure is about the member that was last seen then, with this instance.

    It is if it names that instance, or if it came later: then this node has missed an instance in between.
    """
    if not instance or departure.instance == instance:
        return True
    return last_seen <= departure.at <= now + SKEW_SECONDS
