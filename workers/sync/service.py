"""Dispatches the messages that arrive on sync.sock."""

from __future__ import annotations

from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AwarenessSeen,
    Failure,
    FollowAwareness,
    FollowTopology,
    GetMetrics,
    GetPeers,
    Message,
    MetricsReply,
    PeersReply,
    PublishAwareness,
    WaitReplicas,
)
from peatnode.protocol.sync.events import AwarenessPublished
from workers.sync.node_shell import NodeShell
from workers.sync.peer_report import metrics, peer_states

MAX_WAITING = 10_000


class SyncService:
    """Answers the broker and the CLI from the state of the node."""

    def __init__(self, node: NodeShell) -> None:
        self._node = node

    def message_received(self, connection: Connection, cause: int, message: Message) -> None:
        node = self._node
        match message:
            case GetPeers():
                states = tuple(peer_states(node))
                connection.reply(
                    cause, PeersReply(states, node.machine.root, node.machine.differing())
                )
            case GetMetrics():
                connection.reply(cause, MetricsReply(tuple(metrics(node))))
            case WaitReplicas():
                if len(node.waiters) >= MAX_WAITING:
                    connection.fail(cause, Failure.BUSY, "Too many wait for replicas already.")
                else:
                    node.wait_replicas((connection, cause), message)
            case PublishAwareness():
                node.handle(AwarenessPublished(message.collection, message.id, message.payload))
                self._tell_other_brokers(message)
            case FollowTopology():
                node.topology_followers[(connection, cause)] = None
            case FollowAwareness():
                node.awareness_followers[(connection, cause)] = None
            case _:  # any other message of the contract: not ours to answer
                connection.fail(cause, Failure.INVALID, f"sync does not answer {message.TAG}")

    def _tell_other_brokers(self, published: PublishAwareness) -> None:
        """Several processes may serve the API: awareness from the clients of one goes to those of the others too."""
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
