"""The findings on peers: who is absent or cannot be reached, who differs, and who is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from peatnode.api.failures import sentence
from peatnode.api.findings.finding import Finding, Severity
from peatnode.ipc.messages import PeersReply, PeerState
from peatnode.model.amounts import first_names, moment, plural, progress, since
from peatnode.model.states import PeerStatus

GRACE_SECONDS = 10.0
"""A peer may be away, or out of sync, this long before it restricts the node: two periods of anti-entropy."""

UNTIL_THEN_SECONDS = 20.0
"""A peer that was equal so shortly before it went was equal then: roots are compared each 5 s, and a connection that
is silent ends after 10 s."""

MAX_EACH = 5
"""More peers with the same finding have one finding together. `peatnode peers` lists them all."""

Told = tuple[str, str]
"""Message and advice."""

PEERS = "peers"
"""Where a finding is that concerns several peers."""


def peer_findings(reply: PeersReply, sync_age: float, now: float) -> list[Finding]:
    """`sync_age`: seconds since the sync worker was started, and began to dial. `now`: Unix seconds."""
    connected = {peer.id for peer in reply.peers if peer.is_connected}
    blocked = [peer for peer in reply.peers if peer.state == PeerStatus.BLOCKED]
    ourselves = [peer for peer in reply.peers if peer.state == PeerStatus.OURSELVES]
    away = [
        peer
        for peer in reply.peers
        if not peer.is_connected
        and peer.id not in connected
        and peer.state not in (PeerStatus.BLOCKED, PeerStatus.OURSELVES)
    ]
    absent = [peer for peer in away if peer.absent_since]
    others = [peer for peer in away if not peer.absent_since and not _is_only_expected(peer)]
    return [
        *_expected(reply, connected, absent, now),
        *_grouped(absent, lambda peer: _absence(peer, sync_age, now), _absent, _many_absent, now),
        *_grouped(
            others, lambda peer: _unreached_since(peer, now), _unreached, _many_unreached, now
        ),
        *_twins(reply.peers),
        *_grouped(blocked, lambda _: Severity.NOTICE, _blocked, _many_blocked, now),
        *_grouped(ourselves, lambda _: Severity.NOTICE, _ourselves, _many_ourselves, now),
        *_differing(reply, now),
    ]


def _is_only_expected(peer: PeerState) -> bool:
    """Whether nothing is known of the peer but that it is expected, which has a finding of its own."""
    return peer.is_expected and peer.state == PeerStatus.ABSENT and not peer.failing_since


def _expected(
    reply: PeersReply, connected: set[str], absent: Sequence[PeerState], now: float
) -> Iterator[Finding]:
    """A peer that was never seen counts from the first second. One that has just gone may be back in a moment."""
    have = reply.expected - len(reply.missing) if reply.missing else len(connected)
    if have >= reply.expected:
        return
    just_gone = sum(now - peer.absent_since < GRACE_SECONDS for peer in absent)
    names = f"; missing: {first_names(reply.missing)}" if reply.missing else ""
    verb = "is" if have == 1 else "are"
    yield Finding(
        Severity.NOTICE if reply.expected - have <= just_gone else Severity.DEGRADED,
        PEERS,
        f"{have:,} of {reply.expected:,} expected peers {verb} connected{names}.",
        "Start those that do not run, and check that they are reachable (UDP). If fewer are right, change "
        "PEAT_EXPECTED_PEERS.",
    )


def _absence(peer: PeerState, sync_age: float, now: float) -> Severity:
    return _after_grace(min(now - peer.absent_since, sync_age))


def _after_grace(age: float) -> Severity:
    return Severity.NOTICE if age < GRACE_SECONDS else Severity.DEGRADED


def _absent(peer: PeerState, now: float) -> Told:
    return (
        f"{peer.id} is absent {since(peer.absent_since, now)}; {_last_equal(peer, now)}.{_failure(peer, now)}",
        f"{_advice_to_connect(peer)} If it is gone for good: `peatnode peers forget {peer.id}`.",
    )


def _last_equal(peer: PeerState, now: float) -> str:
    if not peer.last_equal:
        return "it never had the same documents as this node"
    if peer.absent_since - peer.last_equal < UNTIL_THEN_SECONDS:
        return "it had the same documents then"
    return f"it last had the same documents at {moment(peer.last_equal, now)}"


def _failure(peer: PeerState, now: float) -> str:
    if not peer.reason:
        return ""
    reason = peer.reason.removesuffix(".")
    if not peer.failing_since:
        return f" Its connection ended: {reason}."
    return f" It cannot be reached {since(peer.failing_since, now)}: {reason}."


def _unreached_since(peer: PeerState, now: float) -> Severity:
    """Of a peer that discovery has found, and that this node has never been connected to."""
    if peer.state == PeerStatus.REFUSED:
        return Severity.DEGRADED
    return Severity.NOTICE if _is_new(peer) else _after_grace(now - peer.failing_since)


def _is_new(peer: PeerState) -> bool:
    is_tried = peer.state not in (PeerStatus.DISCOVERED, PeerStatus.DIALLING)
    return not is_tried and not peer.failing_since


def _unreached(peer: PeerState, now: float) -> Told:
    if _is_new(peer):
        return f"{peer.id} is being connected.", ""
    for_long = f" {since(peer.failing_since, now)}" if peer.failing_since else ""
    message = sentence(f"{peer.id} is not connected{for_long}: {peer.reason or peer.state}")
    return message, _advice_to_connect(peer)


def _advice_to_connect(peer: PeerState) -> str:
    if peer.reason.startswith("blocked by "):
        return "Ask the operator of that node why. `peatnode peers unblock` there lets this node in again."
    if peer.state == PeerStatus.REFUSED:
        return "Both nodes need the same formation secret, and the node id must match the discovered one."
    at = f" at {peer.addresses[0]} (UDP)" if peer.addresses else ""
    return f"Check that it runs and is reachable{at}. The node keeps trying to connect."


def _blocked(peer: PeerState, now: float) -> Told:
    return (
        sentence(f"{peer.id} is blocked {since(peer.blocked_since, now)}: {peer.reason}"),
        f"It holds on this node only: block it on the others, too. `peatnode peers unblock {peer.id}` ends it.",
    )


def _ourselves(peer: PeerState, now: float) -> Told:
    at = f", {since(peer.failing_since, now)}" if peer.failing_since else ""
    return (
        sentence(f"{peer.id} is no other node: {peer.reason}{at}"),
        "If another node should be there, correct its address (PEAT_STATIC_PEERS). It is dialled again in a while.",
    )


def _many_ourselves(peers: Sequence[PeerState], now: float) -> Told:
    return (
        f"{_counted(peers)} are no other nodes: their addresses lead to this node itself.",
        "If other nodes should be there, correct the addresses (PEAT_STATIC_PEERS).",
    )


def _many_blocked(peers: Sequence[PeerState], now: float) -> Told:
    return (
        f"{_counted(peers)} are blocked.",
        "It holds on this node only. `peatnode peers` lists them; `peatnode peers unblock ID` lets one in again.",
    )


def _twins(peers: Iterable[PeerState]) -> Iterator[Finding]:
    for name in sorted({peer.id for peer in peers if peer.is_twin}):
        yield Finding(
            Severity.DEGRADED,
            f"peer {name}",
            f"{name}: two nodes use this identity.",
            "Give each node its own HOSTNAME, or each cluster its own PEAT_CLUSTER.",
        )


# --- peers with other documents


def _differing(reply: PeersReply, now: float) -> Iterator[Finding]:
    late = [
        peer
        for peer in reply.peers
        if peer.is_connected and not peer.is_in_sync and not _is_fresh(peer, now)
    ]
    source = max(_sources(reply), key=lambda peer: peer.documents_per_second, default=None)
    if source is not None:
        is_long = source in late or source.seconds_left >= GRACE_SECONDS
        yield Finding(
            Severity.DEGRADED if is_long else Severity.NOTICE,
            "sync",
            sentence(f"fetches documents from {source.id}: {_progress(reply.documents, source)}"),
            "It serves what it has meanwhile.",
        )
        late = [peer for peer in late if peer is not source and peer.documents <= reply.documents]
    yield from _grouped(late, lambda _: Severity.DEGRADED, _late, _many_late, now)


def _is_fresh(peer: PeerState, now: float) -> bool:
    return bool(peer.out_of_sync_since) and now - peer.out_of_sync_since < GRACE_SECONDS


def _sources(reply: PeersReply) -> list[PeerState]:
    """The peers from which this node fetches documents."""
    return [
        peer
        for peer in reply.peers
        if peer.is_connected and not peer.is_in_sync and peer.documents_per_second > 0
    ]


def _progress(have: int, source: PeerState) -> str:
    return progress(
        have,
        source.documents,
        source.behind_documents,
        source.documents_per_second,
        source.seconds_left,
    )


def _late(peer: PeerState, now: float) -> Told:
    behind = (
        f"{plural(peer.behind_documents, 'document')} differ"
        if peer.behind_documents > 0
        else "its documents differ"
    )
    for_long = f", {since(peer.out_of_sync_since, now)}" if peer.out_of_sync_since else ""
    reason = f" {sentence(peer.reason)}" if peer.reason else ""
    return (
        f"{peer.id} is not in sync: {behind}{for_long}.{reason}",
        "It catches up while it is connected. If the number does not fall, check its log.",
    )


# --- many peers at once


def _grouped(
    peers: Sequence[PeerState],
    severity_of: Callable[[PeerState], Severity],
    each: Callable[[PeerState, float], Told],
    together: Callable[[Sequence[PeerState], float], Told],
    now: float,
) -> Iterator[Finding]:
    """A finding for each peer, or one for all of the same severity if there are many."""
    groups: dict[Severity, list[PeerState]] = {}
    for peer in peers:
        groups.setdefault(severity_of(peer), []).append(peer)
    for severity, group in groups.items():
        if len(group) > MAX_EACH:
            yield Finding(severity, PEERS, *together(group, now))
            continue
        for peer in group:
            yield Finding(severity, f"peer {peer.id}", *each(peer, now))


def _many_absent(peers: Sequence[PeerState], now: float) -> Told:
    longest = min(peer.absent_since for peer in peers)
    return (
        f"{_counted(peers)} are absent, the longest {since(longest, now)}.",
        "Check that they run and are reachable (UDP). `peatnode peers` lists them; `peatnode peers forget ID` "
        "forgets one that is gone for good.",
    )


def _many_unreached(peers: Sequence[PeerState], now: float) -> Told:
    times = [peer.failing_since for peer in peers if peer.failing_since]
    if not times:
        return f"{_counted(peers)} are being connected.", ""
    return (
        f"{_counted(peers)} are not connected, the longest {since(min(times), now)}.",
        "Check that they run and are reachable (UDP). `peatnode peers` lists them with the reasons.",
    )


def _many_late(peers: Sequence[PeerState], now: float) -> Told:
    times = [peer.out_of_sync_since for peer in peers if peer.out_of_sync_since]
    for_long = f", the longest {since(min(times), now)}" if times else ""
    return (
        f"{_counted(peers)} are not in sync{for_long}.",
        "They catch up while they are connected. `peatnode peers` lists them.",
    )


def _counted(peers: Sequence[PeerState]) -> str:
    names = sorted({peer.id for peer in peers})
    return f"{len(names):,} peers ({first_names(names)})"
