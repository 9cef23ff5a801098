"""The report on a node: what its workers answered, through their sockets or through the API."""

from __future__ import annotations

from dataclasses import dataclass, field

from peatnode.client.models import Node, NodeProblem, NodeStore, Peer, Source, Worker


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A part of the node that did not answer."""

    name: str
    reason: str


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
    problems: tuple[NodeProblem, ...] = ()
    """The problems that the workers have raised."""
    unanswered: tuple[NoAnswer, ...] = field(default=())
