"""Judges the wall clock of this node by the clocks of its connected peers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from peatnode.model.clock import (
    EARLIEST_CLOCK,
    JUMP_SECONDS,
    TOLERANCE_SECONDS,
    UNCOMPARED,
    ClockReading,
    ClockState,
    ClockVerdict,
)
from peatnode.protocol.clock.sentences import (
    alone,
    before_software,
    differs,
    half_differs,
    most_agree,
    was_set,
)

RETURN_SECONDS = 25.0
"""A clock that did not agree agrees again when it differs by at most this much, so that no verdict flaps."""

SETTLE_SECONDS = 3.0
"""A node that knows no peer for this time after its start sets expiries by its own clock. If it does not look
for peers, it carries them out as well."""

START_SECONDS = 30.0
"""A node that has compared its clock with no peer for this time after its start goes by its own clock."""

RECENT = 3
"""Measurements of a peer of which the median takes the best: a message that waited makes a clock look late."""

NEWS_SECONDS = 5.0
"""The sentence of a verdict is made anew if a difference has changed by more than this."""


@dataclass(slots=True)
class _PeerClock:
    name: str
    shift: float
    """The clock of the peer minus the steady clock of this node."""
    agrees: bool
    recent: deque[float]
    """The last values of `shift`."""


class ClockJudge:
    """The differences to the clocks of the connected peers, and the verdict that follows from them.

    A clock agrees with itself. It is right if it agrees with more than half of itself and the peers. Without
    a connected peer the last verdict stays. The clock of a peer is kept relative to the steady clock of this
    node, so that a jump of the own wall clock is known at once, and needs no new measurement.
    """

    def __init__(self, now: float) -> None:
        self.verdict = UNCOMPARED
        self.knows_peers = False
        """Whether discovery knows a peer, so that a comparison is to be expected."""
        self.may_find_peers = True
        """Whether discovery looks for peers."""
        self._peers: dict[str, _PeerClock] = {}
        """By instance."""
        self._since = now
        """Start, or the last jump before the first comparison."""
        self._shift: float | None = None
        """Of the own clock at the last comparison; before the first one, at the last review."""
        self._compared: ClockVerdict | None = None
        """The verdict of the last comparison."""
        self._said: dict[str, float] = {}
        """The differences in the sentence of the verdict."""

    def measured(self, instance: str, name: str, unix: float, reading: ClockReading) -> None:
        """The clock of a peer shows `unix` now. Call `review` after it."""
        known = self._peers.get(instance)
        shift = unix - reading.steady
        if known is None:
            self._peers[instance] = _PeerClock(name, shift, True, deque((shift,), RECENT))
        else:
            known.shift = shift
            known.recent.append(shift)

    def left(self, instance: str) -> None:
        """The last connection to a peer has ended. Call `review` after it."""
        self._peers.pop(instance, None)

    def offset_of(self, instance: str, reading: ClockReading) -> float | None:
        """The clock of a peer minus that of this node, in seconds; None: not measured."""
        peer = self._peers.get(instance)
        return None if peer is None else peer.shift - reading.shift

    def ahead(self, reading: ClockReading) -> dict[str, float]:
        """The own clock minus that of each connected peer, by node id."""
        return {p.name: reading.shift - max(p.recent) for p in self._candidates(reading)}

    def review(self, now: float, reading: ClockReading) -> ClockVerdict:
        """The verdict now. It is the same object while nothing of it has changed."""
        voters = self._voters(reading)
        found = self._judge(voters, now, reading)
        differences = _differences(voters, reading)
        if self._is_news(found, differences):
            self.verdict, self._said = found, differences
        return self.verdict

    def _voters(self, reading: ClockReading) -> list[_PeerClock]:
        voters = self._candidates(reading)
        for peer in voters:
            limit = TOLERANCE_SECONDS if peer.agrees else RETURN_SECONDS
            peer.agrees = abs(peer.shift - reading.shift) <= limit
        return voters

    def _candidates(self, reading: ClockReading) -> list[_PeerClock]:
        """The peers whose clocks can be right. Of several instances of one node the last one counts."""
        by_name = {peer.name: peer for peer in self._peers.values()}
        return [p for p in by_name.values() if p.shift + reading.steady >= EARLIEST_CLOCK]

    def _judge(self, voters: list[_PeerClock], now: float, reading: ClockReading) -> ClockVerdict:
        if reading.unix < EARLIEST_CLOCK:
            if self._compared is None:
                self._shift = reading.shift
            return ClockVerdict(ClockState.WRONG, before_software(reading.unix))
        if voters:
            self._shift = reading.shift
            self._compared = _compare(voters, reading)
            return self._compared
        return self._without_peers(now, reading)

    def _without_peers(self, now: float, reading: ClockReading) -> ClockVerdict:
        jump = 0.0 if self._shift is None else reading.shift - self._shift
        has_jumped = abs(jump) > JUMP_SECONDS
        if self._compared is not None:
            if has_jumped and self._compared.state is ClockState.RIGHT:
                return ClockVerdict(ClockState.IN_DOUBT, was_set(jump))
            return self._compared
        if has_jumped:
            self._since = now
        self._shift = reading.shift
        waited = now - self._since
        if waited < SETTLE_SECONDS or (self.knows_peers and waited < START_SECONDS):
            return UNCOMPARED
        if self.may_find_peers and waited < START_SECONDS:
            return ClockVerdict(ClockState.WAITING, alone())
        return ClockVerdict(ClockState.RIGHT, alone())

    def _is_news(self, found: ClockVerdict, differences: dict[str, float]) -> bool:
        if not found.is_denied:
            return found != self.verdict
        said = self._said
        return (
            found.state is not self.verdict.state
            or differences.keys() != said.keys()
            or any(abs(differences[name] - said[name]) > NEWS_SECONDS for name in said)
        )


def _compare(voters: list[_PeerClock], reading: ClockReading) -> ClockVerdict:
    differences = _differences(voters, reading)
    others = sum(not peer.agrees for peer in voters)
    clocks = 1 + len(voters)
    if 2 * others < clocks:
        return ClockVerdict(ClockState.RIGHT, most_agree(len(voters) - others, len(voters)))
    if 2 * others == clocks:
        return ClockVerdict(ClockState.IN_DOUBT, half_differs(differences, others, len(voters)))
    return ClockVerdict(ClockState.WRONG, differs(differences, others, len(voters)))


def _differences(voters: list[_PeerClock], reading: ClockReading) -> dict[str, float]:
    """By the names of the peers that do not agree, the largest first."""
    found = {peer.name: peer.shift - reading.shift for peer in voters if not peer.agrees}
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))
