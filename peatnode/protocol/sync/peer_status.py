"""The sync status of each peer, as `peatnode status` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from peatnode.model import amounts
from peatnode.model.members import PausedDeletions
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.sync.refusals import Refusals, RefusedDocument
from peatnode.protocol.sync.session import PeerSession

MAX_DIFFERING = 100


@dataclass(frozen=True, slots=True)
class PeerSyncStatus:
    """Whether a connected peer is in sync, and since when and why it is not."""

    peer: int
    member: Member
    is_in_sync: bool
    behind: int
    """Number of documents that differ or are unacknowledged, at least; -1: not compared yet."""
    since: float | None
    """Time of the machine since which the peer is out of sync; None: in sync."""
    reason: str
    connected_at: float
    neighbours: tuple[str, ...]
    documents: int
    """The number of documents that the peer told with its last root; -1: unknown."""
    documents_per_second: float
    """Documents that this node fetches from it, while it does."""
    seconds_left: float
    """Until it has fetched them all, as far as can be told; negative: unknown."""
    is_twin: bool
    """Whether this node or another instance that is alive has the same node id."""
    is_stale: bool
    """Whether nothing was heard of this instance since another one of the same node id came: the node was restarted.
    It is not in sync."""
    clock_offset: float | None
    """The clock of the peer minus that of this node, in seconds; None: not known."""
    paused: PausedDeletions | None
    """Whether the store refuses its deletions."""


def sync_status_of(
    session: PeerSession,
    refusals: Refusals,
    own: int,
    now: float,
    *,
    is_twin: bool,
    is_stale: bool,
    clock_offset: float | None,
    paused: PausedDeletions | None = None,
) -> PeerSyncStatus:
    """`own`: the number of documents of this node; negative: unknown."""
    refused = _refused_of(session, refusals)
    waiting = session.push.waiting
    behind = _behind(session, own, len(refused) + waiting) if session.is_compared else -1
    more = max(0, session.documents - own - len(refused)) if own >= 0 else 0
    is_fetching = session.pull is not None or more > 0
    rate = session.pulls.rate.per_second(now) if is_fetching else 0.0
    left = _left(session, more) / rate if rate else -1.0
    sent_at = session.push.oldest_sent_at
    sinces = [since for since in (session.differs_since, sent_at) if since is not None]
    is_in_sync = session.differs_since is None and not waiting and not is_stale
    progress = amounts.progress(own, session.documents, behind, rate, left)
    return PeerSyncStatus(
        session.peer,
        session.member,
        is_in_sync,
        behind,
        None if is_in_sync else min(sinces, default=session.heard_at),
        "" if is_in_sync else _reason(session, is_stale, more, rate, refused, progress, paused),
        session.connected_at,
        session.neighbours.names,
        session.documents,
        rate,
        left,
        is_twin,
        is_stale,
        clock_offset,
        paused,
    )


def _refused_of(session: PeerSession, refusals: Refusals) -> Sequence[RefusedDocument]:
    """What the peer has and the local store has refused: from this peer, or from another one that had it first."""
    found = (*refusals.of_peer(session.member.node_id), *session.pulls.refused)
    return tuple({(one.collection, one.id): one for one in found}.values())


def _behind(session: PeerSession, own: int, others: int) -> int:
    """`others`: documents that were refused, or wait for an acknowledgement."""
    found = session.pull.least_differing if session.pull else 0
    if session.differs_since is None:
        return found + others
    return max(found + others, session.documents - own, _lacking(session), 1)


def _lacking(session: PeerSession) -> int:
    """Documents that the peer lacked at the last comparison, at least."""
    is_known = session.documents >= 0 and session.compared_documents >= 0
    return session.compared_documents - session.documents if is_known else 0


def _left(session: PeerSession, more: int) -> int:
    """Documents that this node has yet to fetch, as far as can be told. `more`: those that the peer has more."""
    pull = session.pull
    if pull is None or (pull.progress.is_whole and more):
        return more
    return max(pull.expected, more)


def _reason(
    session: PeerSession,
    is_stale: bool,
    more: int,
    rate: float,
    refused: Sequence[RefusedDocument],
    progress: str,
    paused: PausedDeletions | None,
) -> str:
    if is_stale:
        return "replaced by another instance of the same node, and not heard of since"
    if not session.is_compared:
        return "not compared yet"
    pull = session.pull
    # Between two pulls, and while the next one compares, a node that joins says how far it is all the same.
    is_joining = more and (pull is not None or (rate and not session.pulls.waits))
    if is_joining or (pull is not None and (pull.progress.found or pull.progress.is_whole)):
        return f"fetching: {progress}"
    if session.push.waiting:
        return f"{session.push.waiting} changes not acknowledged"
    if paused is not None:
        kept = amounts.plural(paused.refused, "document")
        return f"its deletions are paused: this node keeps {kept} that it has deleted"
    if refused:
        only = "differs only by " if session.pulls.is_settled else ""
        return f"{only}{len(refused)} of its documents refused by the local store: {refused[-1].reason}"
    if session.pulls.waits:
        return "documents are fetched from another peer first"
    if _lacking(session) > 0:
        return f"it has {session.documents:,} documents, this node {session.compared_documents:,}"
    if session.pulls.is_settled:
        return "it lacks or refuses documents of this node, and has none that this node lacks"
    return "fingerprints differ" if pull is None else "comparing documents"


def differing_documents(sessions: list[PeerSession], refusals: Refusals) -> tuple[str, ...]:
    """`collection/id` of documents that differ, at most MAX_DIFFERING."""
    names: dict[str, None] = {
        f"{refusal.collection}/{refusal.id}": None for refusal in refusals.all()
    }
    for session in sessions:
        if session.pull is not None:
            for collection, id_ in session.pull.differing:
                if len(names) >= MAX_DIFFERING:
                    break
                names[f"{collection}/{id_}"] = None
    return tuple(names)[:MAX_DIFFERING]


def stale_sessions(sessions: Iterable[PeerSession], seen_at: Mapping[int, float]) -> set[int]:
    """The connections to instances of which nothing was heard since another instance of their node came.

    A node that was killed and is back is connected twice until its old connection ends. A twin is heard at once,
    because it is asked for its root when the newcomer comes, and at the latest with its next Root.
    """
    known = list(sessions)
    newest: dict[str, float] = {}
    for session in known:
        name = session.member.node_id
        newest[name] = max(session.came_at, newest.get(name, session.came_at))
    return {
        session.peer
        for session in known
        if session.came_at
        < newest[session.member.node_id]
        >= max(session.heard_at, seen_at.get(session.peer, session.heard_at))
    }


def twin_names(names: Iterable[str], own: str) -> set[str]:
    """The node ids that several instances have. `names`: those of the peers that are alive."""
    counts = Counter((own, *names))
    return {name for name, count in counts.items() if count > 1}
