"""Serves sync.sock: the state of peers, waits for replicas, topology and awareness."""

from __future__ import annotations

from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AwarenessSeen,
    Failure,
    FollowAwareness,
    FollowTopology,
    ForgetPeer,
    GetMetrics,
    GetPeerLog,
    GetPeers,
    Message,
    MetricsReply,
    PeerLogReply,
    PublishAwareness,
    WaitReplicas,
)
from peatnode.protocol.sync.events import AwarenessPublished
from workers.sync.node_shell import NodeShell
from workers.sync.peer_report import metrics, peers_reply

MAX_WAITING = 10_000
"""Limit of concurrent waits for replicas."""


class SyncService:
    """Answers the broker and the CLI from the state of the node."""

    def __init__(self, node: NodeShell) -> None:
        self._node = node

    def message_received(self, connection: Connection, cause: int, message: Message) -> None:
        node = self._node
        match message:
            case GetPeers():
                connection.reply(cause, peers_reply(node))
            case GetPeerLog():
                connection.reply(cause, PeerLogReply(()))
            case ForgetPeer(peer):
                connection.fail(
                    cause, Failure.NOT_FOUND, f"this node remembers no peer {peer!r}", "id"
                )
            case GetMetrics():
                connection.reply(cause, MetricsReply(tuple(metrics(node))))
            case WaitReplicas():
                if len(node.waiters) >= MAX_WAITING:
                    connection.fail(
                        cause, Failure.BUSY, "Too many requests wait for replicas; try again later."
                    )
                else:
                    node.wait_replicas((connection, cause), message)
            case PublishAwareness():
                node.handle(AwarenessPublished(message.collection, message.id, message.payload))
                self._pass_to_other_brokers(message)
            case FollowTopology():
                node.topology_followers[(connection, cause)] = None
            case FollowAwareness():
                node.awareness_followers[(connection, cause)] = None
            case _:  # other workers answer the other messages of the contract
                connection.fail(cause, Failure.INVALID, f"sync does not answer {message.TAG}")

    def _pass_to_other_brokers(self, published: PublishAwareness) -> None:
        """Sends awareness from one process of the broker to the clients of its other processes."""
        followers = self._node.awareness_followers
        if len(followers) > 1:
            seen = AwarenessSeen(
                published.collection, published.id, published.payload, self._node.instance
            )
            for connection, cause in followers:
                connection.reply(cause, seen)

    def link_closed(self, connection: Connection) -> None:
        for followers in (self._node.topology_followers, self._node.awareness_followers):
            for key in [key for key in followers if key[0] is connection]:
                del followers[key]
