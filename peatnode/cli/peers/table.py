"""Peers as a table for people, and what is to be said of them below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from peatnode.api.findings.peers import GRACE_SECONDS
from peatnode.cli.terminal.columns import NARROW_COLUMNS, Cell, column_table
from peatnode.cli.terminal.numbers import round_trip
from peatnode.client.models import Peer, Peers
from peatnode.model.amounts import plural, span
from peatnode.model.clock import TOLERANCE_SECONDS
from peatnode.model.states import PeerStatus
from peatnode.texts import one_line

MAX_SHOWN = 50
"""Peers in a status. A terminal takes a millisecond for each, and a mesh may remember a thousand."""


def peers_table(
    peers: Sequence[Peer], documents: int | None, now: float, columns: int
) -> RenderableType:
    """`documents`: the number of those of the node; `now`: Unix seconds; `columns`: the width of the terminal."""
    if not peers:
        return Text("No peers are known yet.", style="dim")
    rows: list[Sequence[Cell]] = [("PEER", "state", "sync", "RTT", "clock", "address")]
    for peer in peers:
        rows.append(
            (
                peer.id,
                state_text(peer, now),
                sync_text(peer, documents, now),
                round_trip(peer.rtt_ms if peer.is_connected else None),
                clock_text(peer),
                peer.addresses[0] if peer.addresses else "–",
            )
        )
    return column_table(rows, columns < NARROW_COLUMNS, kept=(0, 1, 2))


def first_peers(peers: Sequence[Peer]) -> Sequence[Peer]:
    """At most MAX_SHOWN of them, in their order: absent ones are left out first."""
    if len(peers) <= MAX_SHOWN:
        return peers
    order = sorted(peers, key=lambda peer: peer.state == PeerStatus.ABSENT)[:MAX_SHOWN]
    kept = set(map(id, order))
    return [peer for peer in peers if id(peer) in kept]


def state_text(peer: Peer, now: float) -> Text:
    """The state, and for how long the peer has been absent."""
    if peer.state == PeerStatus.BLOCKED and peer.blocked_since is not None:
        return Text(f"blocked {span(max(0.0, now - peer.blocked_since))}", style="yellow")
    if peer.state != PeerStatus.ABSENT:
        return Text(one_line(peer.state), style="" if peer.is_connected else "yellow")
    if peer.absent_since is None:
        return Text("never seen", style="yellow")
    return Text(f"absent {span(max(0.0, now - peer.absent_since))}", style="yellow")


def clock_text(peer: Peer) -> Text:
    """How far the clock of the peer is ahead of that of the node, or behind it."""
    offset = peer.clock_offset if peer.is_connected else None
    if offset is None:
        return Text("–")
    if abs(offset) < 1:
        return Text("equal")
    direction = "ahead" if offset > 0 else "behind"
    is_far = abs(offset) > TOLERANCE_SECONDS
    return Text(f"{span(abs(offset))} {direction}", style="yellow" if is_far else "")


def sync_text(peer: Peer, documents: int | None, now: float) -> Text:
    """Whether the peer is in sync, and for how long it has not been."""
    if peer.is_connected and peer.is_in_sync:
        return Text("in sync", style="green")
    age = max(0.0, now - peer.out_of_sync_since) if peer.out_of_sync_since else None
    if not peer.is_connected:
        return Text(_last_sync(peer, age, now), style="yellow")
    is_late = age is not None and age >= GRACE_SECONDS
    behind = f"{peer.behind_documents:,} differ" if peer.behind_documents else "comparing"
    if documents is not None and peer.documents is not None and peer.documents_per_second > 0:
        is_behind = documents < peer.documents
        have = f"{documents:,} of {peer.documents:,}" if is_behind else behind
        return Text(f"{have}, {_speed(peer)}", style="yellow" if is_late else "")
    since = f" for {span(age)}" if age is not None and age >= 1 else ""
    return Text(behind + since, style="yellow" if is_late else "")


def _last_sync(peer: Peer, age: float | None, now: float) -> str:
    if peer.last_equal is not None:
        return f"equal {span(max(0.0, now - peer.last_equal))} ago"
    if age is not None:
        return f"out of sync for {span(age)}"
    return "never equal" if peer.is_remembered else "–"


def _speed(peer: Peer) -> str:
    left = "" if peer.seconds_left is None else f", {span(peer.seconds_left)} left"
    return f"{peer.documents_per_second:,.0f}/s{left}"


def summary_lines(peers: Peers, now: float) -> Iterator[Text]:
    """How many are connected and expected, who is missing, and why peers are not connected."""
    connected = [peer for peer in peers if peer.is_connected]
    in_sync = sum(peer.is_in_sync for peer in connected)
    line = f"{len(connected)} of {plural(len(peers), 'peer')} connected, {in_sync} in sync"
    if peers.expected:
        line += f"; {peers.expected:,} expected"
    yield Text(line, style="" if in_sync >= max(len(peers), peers.expected) else "yellow")
    if peers.missing:
        yield Text(one_line(f"missing: {', '.join(peers.missing)}"), style="yellow")
    for peer in peers:
        if peer.deletions_paused_since is not None:
            kept = plural(peer.deletions_refused, "document")
            verb = "is" if peer.deletions_refused == 1 else "are"
            line = f"deletions of {peer.id} are paused, {kept} {verb} kept"
            yield Text(one_line(line), style="yellow")
        if peer.state == PeerStatus.BLOCKED:
            yield Text(one_line(f"{peer.id} is blocked: {peer.reason}"), style="dim")
        elif peer.state == PeerStatus.OURSELVES:
            yield Text(one_line(f"{peer.id} is no other node: {peer.reason}"), style="dim")
        elif not peer.is_connected and peer.reason:
            since = peer.failing_since
            what = "is refused" if peer.state == PeerStatus.REFUSED else "cannot be reached"
            for_long = f" for {span(max(0.0, now - since))}" if since else ""
            yield Text(one_line(f"{peer.id} {what}{for_long}: {peer.reason}"), style="dim")
