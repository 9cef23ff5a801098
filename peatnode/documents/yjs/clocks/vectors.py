"""State vectors of many clients in arrays."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping


class PackedVector:
    """The clocks of many clients in two arrays, by ascending client: 12 bytes a client."""

    __slots__ = ("clients", "clocks")

    def __init__(self, clients: array[int], clocks: array[int]) -> None:
        self.clients = clients
        self.clocks = clocks

    @classmethod
    def of(cls, vector: Mapping[int, int]) -> PackedVector:
        clients = sorted(vector)
        return cls(array("Q", clients), array("I", [vector[client] for client in clients]))

    def __len__(self) -> int:
        return len(self.clients)

    def find(self, client: int) -> int | None:
        """The clock of a client; None if it is unknown."""
        clients = self.clients
        at = bisect_left(clients, client)
        return self.clocks[at] if at < len(clients) and clients[at] == client else None

    def with_clocks(self, changed: Mapping[int, int]) -> PackedVector:
        """The vector in which some clients have reached other clocks. Takes time with those, and copies the rest."""
        clients, clocks = array("Q"), array("I")
        at = 0
        for client in sorted(changed):
            to = bisect_left(self.clients, client, at)
            clients += self.clients[at:to]
            clocks += self.clocks[at:to]
            clients.append(client)
            clocks.append(changed[client])
            at = to + (to < len(self.clients) and self.clients[to] == client)
        return PackedVector(clients + self.clients[at:], clocks + self.clocks[at:])

    def items(self) -> Iterator[tuple[int, int]]:
        """Clients, which ascend, and their clocks."""
        return zip(self.clients, self.clocks, strict=True)
