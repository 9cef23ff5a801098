"""The configured peers: decides when a host name is resolved, and which sightings follow from the result.

No I/O. A name that cannot be resolved keeps its last addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peatnode.config.values import StaticPeer
from peatnode.ipc.messages import Address
from workers.discovery.sighting import Sighting, SightingsChanged

RESOLVE_SECONDS = 20.0
"""Between two resolutions of one name, plus or minus a half."""

FIRST_RETRY_SECONDS = 1.0
"""Delay after a failure. It doubles after each further one, up to RESOLVE_SECONDS."""


@dataclass(slots=True)
class _Name:
    next_at: float
    is_asked: bool = False
    failures: int = 0
    failing_at: float = 0.0
    """Time of the first of these failures."""
    reason: str = ""
    hosts: tuple[str, ...] = ()
    answered_at: float | None = None


class StaticPeers:
    """The peers of the configuration. `due` returns the names to resolve,
    `deadline` the time of its next call."""

    def __init__(self, peers: Iterable[StaticPeer], draw: Callable[[], float]) -> None:
        """`draw` returns random numbers from 0 to 1."""
        self._peers = tuple(dict.fromkeys(peers))
        self._draw = draw
        self._names = {
            peer.host: _Name(next_at=float("-inf"))
            for peer in self._peers
            if not _is_address(peer.host)
        }
        self._shown: dict[str, Sighting] = {}

    @property
    def deadline(self) -> float:
        """The time of the next resolution; infinite if none is scheduled."""
        return min(
            (name.next_at for name in self._names.values() if not name.is_asked),
            default=float("inf"),
        )

    @property
    def failing(self) -> dict[str, str]:
        """The names that cannot be resolved, with the reasons."""
        return {host: name.reason for host, name in self._names.items() if name.failures}

    @property
    def failing_at(self) -> float | None:
        """Time of the first failure of the name that has failed for the longest time; None: none fails."""
        return min(
            (name.failing_at for name in self._names.values() if name.failures), default=None
        )

    @property
    def complete_at(self) -> float | None:
        """Time of the oldest of the last resolutions;
        None if there are no names, or one was never resolved."""
        times = [name.answered_at for name in self._names.values()]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    @property
    def is_complete(self) -> bool:
        return all(name.answered_at is not None for name in self._names.values())

    def due(self, now: float) -> list[str]:
        """The names to resolve now. `resolved` or `failed` must be called for each of them."""
        hosts = [h for h, name in self._names.items() if not name.is_asked and name.next_at <= now]
        for host in hosts:
            self._names[host].is_asked = True
        return hosts

    def start(self) -> SightingsChanged:
        """The sightings of the peers that are configured by address."""
        return self._show()

    def resolved(self, host: str, addresses: Iterable[str], now: float) -> SightingsChanged:
        name = self._names[host]
        # Sorted, because resolvers rotate the addresses, which is not a change.
        name.hosts = tuple(sorted(set(addresses), key=lambda text: (":" in text, text)))
        name.is_asked, name.failures, name.reason, name.answered_at = False, 0, "", now
        name.next_at = now + self._jitter(RESOLVE_SECONDS)
        return self._show()

    def failed(self, host: str, reason: str, now: float) -> None:
        name = self._names[host]
        name.is_asked, name.reason = False, reason
        pause = min(RESOLVE_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(name.failures, 10))
        if not name.failures:
            name.failing_at = now
        name.failures += 1
        name.next_at = now + self._jitter(pause)

    def _jitter(self, seconds: float) -> float:
        return seconds * (0.5 + self._draw())

    def _show(self) -> SightingsChanged:
        before, self._shown = (
            self._shown,
            {s.key: s for s in map(self._sighting, self._peers) if s},
        )
        found = tuple(new for key, new in self._shown.items() if before.get(key) != new)
        return SightingsChanged(found, tuple(key for key in before if key not in self._shown))

    def _sighting(self, peer: StaticPeer) -> Sighting | None:
        name = self._names.get(peer.host)
        hosts = name.hosts if name else (str(ipaddress.ip_address(peer.host)),)
        if not hosts:
            return None
        return Sighting(
            key=_key(peer),
            node_id=peer.node_id,
            instance="",
            addresses=tuple(Address(host, peer.port) for host in hosts),
        )


def _key(peer: StaticPeer) -> str:
    endpoint = str(Address(peer.host, peer.port))
    return f"{peer.node_id}@{endpoint}" if peer.node_id else endpoint


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
