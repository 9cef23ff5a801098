"""The report on a node: what its workers answered, through their sockets or through the API."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.api.findings.replies import NoAnswer
from peatnode.client.models import Node, NodeFinding, NodeStore, Peer, Source, Worker


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The parts of a node. A part that did not answer is None, and `unanswered` has the reason."""

    taken_at: float
    """Unix seconds."""
    node: Node | None = None
    workers: tuple[Worker, ...] | None = None
    peers: tuple[Peer, ...] | None = None
    differing: tuple[str, ...] = ()
    """Some of the documents that differ on a peer, as `collection/id`."""
    store: NodeStore | None = None
    sources: tuple[Source, ...] | None = None
    findings: tuple[NodeFinding, ...] = ()
    """What an operator should know, the worst first."""
    unanswered: tuple[NoAnswer, ...] = ()
