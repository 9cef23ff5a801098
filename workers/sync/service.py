"""Serves sync.sock: the state and the log of peers, orders about them, waits for replicas, topology and awareness."""

from __future__ import annotations

from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AllowDeletions,
    AwarenessSeen,
    BlockPeer,
    Failure,
    FollowAwareness,
    FollowTopology,
    ForgetPeer,
    GetMetrics,
    GetPeerLog,
    GetPeers,
    LeaveMesh,
    Leaving,
    Message,
    MetricsReply,
    PeerLogReply,
    PublishAwareness,
    UnblockPeer,
    WaitReplicas,
)
from peatnode.protocol.sync.events import AwarenessPublished
from workers.sync.node_shell import NodeShell
from workers.sync.peer_metrics import metrics
from workers.sync.peer_orders import PeerOrders
from workers.sync.peer_report import peers_reply

MAX_WAITING = 10_000
"""Limit of concurrent waits for replicas."""


class SyncService:
    """Answers the broker and the CLI from the state of the node."""

    def __init__(self, node: NodeShell) -> None:
        self._node = node
        self._orders = PeerOrders(node)

    def message_received(self, connection: Connection, cause: int, message: Message) -> None:
        node = self._node
        match message:
            case GetPeers():
                connection.reply(cause, peers_reply(node))
            case GetMetrics():
                connection.reply(cause, MetricsReply(tuple(metrics(node))))
            case WaitReplicas():
                if len(node.waiters) >= MAX_WAITING:
                    connection.fail(
                        cause, Failure.BUSY, "Too many requests wait for replicas; try again later."
                    )
                else:
                    node.wait_replicas((connection, cause), message)
            case GetPeerLog():
                connection.reply(cause, PeerLogReply(node.machine.members.book.log.events))
            case ForgetPeer() | BlockPeer() | UnblockPeer() | AllowDeletions():
                self._orders.receive(connection, cause, message)
            case LeaveMesh():
                node.is_leaving = True
                node.log.info("The node will say goodbye for good when it stops")
                connection.reply(cause, Leaving())
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
