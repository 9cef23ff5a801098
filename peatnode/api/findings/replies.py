"""What the findings are made from: the replies of the workers."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import DiscoveryReply, NodeReply, PeersReply, StoreReply


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A part of the node that did not answer."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class NodeReplies:
    """The replies. A part that did not answer is None, and `unanswered` has the reason."""

    node: NodeReply | None
    store: StoreReply | None
    peers: PeersReply | None
    discovery: DiscoveryReply | None
    unanswered: tuple[NoAnswer, ...] = ()


def collected(
    node: NodeReply | NoAnswer,
    store: StoreReply | NoAnswer,
    peers: PeersReply | NoAnswer,
    discovery: DiscoveryReply | NoAnswer,
) -> NodeReplies:
    answers = (node, store, peers, discovery)
    return NodeReplies(
        None if isinstance(node, NoAnswer) else node,
        None if isinstance(store, NoAnswer) else store,
        None if isinstance(peers, NoAnswer) else peers,
        None if isinstance(discovery, NoAnswer) else discovery,
        tuple([answer for answer in answers if isinstance(answer, NoAnswer)]),
    )
