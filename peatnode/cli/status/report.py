"""What `status` knows of a node, from the sockets of its workers or from its API."""

from __future__ import annotations

from dataclasses import dataclass, field

from peatnode.client.models import Node, NodeProblem, NodeStore, Peer, Source, Worker


@dataclass(frozen=True, slots=True)
class Silent:
    """A part of the node that did not answer."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A part that did not answer is None, and `silent` gives the reason."""

    taken_at: float
    """Unix seconds."""
    node: Node | None = None
    workers: tuple[Worker, ...] | None = None
    peers: tuple[Peer, ...] | None = None
    differing: tuple[str, ...] = ()
    """Some documents that differ from a peer's, `collection/id`."""
    store: NodeStore | None = None
    sources: tuple[Source, ...] | None = None
    problems: tuple[NodeProblem, ...] = ()
    """As the node's workers raised them."""
    silent: tuple[Silent, ...] = field(default=())
