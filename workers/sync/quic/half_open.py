"""Who has a place: of the handshakes in progress that others have begun, and of the members. No I/O."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Mapping

MAX_UNAUTHENTICATED = 128
"""Connections that others have opened and that have not authenticated. Each has 65 KB."""

MAX_OF_ONE_ADDRESS = 16
"""Those of them from one address: a host, or the nodes behind one NAT, can take an eighth of the places."""

SECONDS_TO_STAY = 0.5
"""An older handshake makes room for a new one. A younger one is given the time to end, and the new one comes again,
because QUIC repeats its first packet. So a burst of honest nodes is served one after the other, instead of none."""


class NoRoom(Exception):
    """All handshakes that could make room are young."""


class HalfOpen:
    """The handshakes in progress, the oldest first."""

    def __init__(self) -> None:
        self._began: OrderedDict[int, tuple[str, float]] = OrderedDict()
        """Network and start, by the number of the connection."""
        self._of: dict[str, OrderedDict[int, float]] = {}
        """The same by network."""

    def __len__(self) -> int:
        return len(self._began)

    def find_room(self, network: str, now: float) -> int | None:
        """The number of the connection that makes room for one from this network; None: none has to.

        Raises NoRoom.
        """
        own: OrderedDict[int, float] = self._of.get(network, OrderedDict())
        if len(own) >= MAX_OF_ONE_ADDRESS:
            oldest, began = next(iter(own.items()))
        elif len(self._began) >= MAX_UNAUTHENTICATED:
            oldest, (_, began) = next(iter(self._began.items()))
        else:
            return None
        if now - began < SECONDS_TO_STAY:
            raise NoRoom
        return oldest

    def add(self, peer: int, network: str, now: float) -> None:
        self._began[peer] = network, now
        self._of.setdefault(network, OrderedDict())[peer] = now

    def remove(self, peer: int) -> None:
        """The connection is authenticated or closed. Does nothing if it is not known."""
        network, _ = self._began.pop(peer, ("", 0.0))
        own = self._of.get(network)
        if own is None:
            return
        own.pop(peer, None)
        if not own:
            del self._of[network]


def crowded_out(networks: Mapping[int, str], most: int) -> int | None:
    """The connection that has to go if there are more than `most`, by its number; None: there are not.

    It is the newest of the network that has most of them. So one member that connects under many names takes the place
    of nobody else. `networks`: of each connection.
    """
    if len(networks) <= most:
        return None
    counts = Counter(networks.values())
    return max(networks, key=lambda peer: (counts[networks[peer]], peer))


def network_of(host: str) -> str:
    """The address, or the /64 of an IPv6 address: one host has as many addresses of it as it likes."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
