"""What operators order about one peer: to forget it, to block it, to let it in again, to carry out its deletions."""

from __future__ import annotations

import asyncio

from peatnode.errors import AskFailed, LinkError
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AllowDeletions,
    BlockPeer,
    BlocksChanged,
    Failure,
    ForgetPeer,
    PeerForgotten,
    UnblockPeer,
)
from peatnode.model.members import MAX_BLOCKED_PEERS
from peatnode.protocol.members.book import MemberBook
from peatnode.protocol.sync.events import (
    BlockOrdered,
    DeletionsResumed,
    ForgetOrdered,
    UnblockOrdered,
)
from peatnode.texts import cleaned, is_name
from workers.sync.node_shell import NodeShell

PeerOrder = ForgetPeer | BlockPeer | UnblockPeer | AllowDeletions


class PeerOrders:
    """Checks an order, has the machine carry it out, and answers."""

    def __init__(self, node: NodeShell) -> None:
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _book(self) -> MemberBook:
        return self._node.machine.members.book

    def receive(self, connection: Connection, cause: int, order: PeerOrder) -> None:
        match order:
            case ForgetPeer(peer):
                self._forget(connection, cause, peer)
            case _ if not self._book.is_read:
                connection.fail(
                    cause,
                    Failure.UNAVAILABLE,
                    "The nodes that are blocked here are not read from the store yet; try again.",
                )
            case BlockPeer():
                self._block(connection, cause, order)
            case UnblockPeer(peer):
                self._unblock(connection, cause, peer)
            case AllowDeletions():
                task = asyncio.get_running_loop().create_task(self._allow(connection, cause, order))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _forget(self, connection: Connection, cause: int, peer: str) -> None:
        book = self._book
        if book.is_connected(peer):
            connection.fail(
                cause,
                Failure.INVALID,
                f"{peer} is connected: stop it first. Only an absent peer can be forgotten.",
                "id",
            )
        elif book.get(peer) is not None:
            self._node.handle(ForgetOrdered(peer))
            connection.reply(cause, PeerForgotten())
        elif not book.is_read:
            connection.fail(
                cause,
                Failure.UNAVAILABLE,
                "The peers that this node remembers are not read from the store yet; try again.",
            )
        else:
            connection.fail(cause, Failure.NOT_FOUND, f"this node remembers no peer {peer!r}", "id")

    def _block(self, connection: Connection, cause: int, order: BlockPeer) -> None:
        peer, blocks = order.peer, self._book.blocks
        if not is_name(peer):
            connection.fail(cause, Failure.INVALID, f"{peer!r} is not the name of a node", "id")
        elif peer == self._node.node_id:
            connection.fail(cause, Failure.INVALID, "this node cannot block itself", "id")
        elif blocks.is_full and peer not in blocks:
            connection.fail(
                cause,
                Failure.BUSY,
                f"{MAX_BLOCKED_PEERS} nodes are blocked, and no more can be: unblock one, or give the formation "
                "another secret.",
            )
        else:
            self._node.handle(BlockOrdered(peer, cleaned(order.reason)))
            self._node.log.warning("Peer blocked", peer=peer, reason=order.reason)
            connection.reply(cause, BlocksChanged())

    def _unblock(self, connection: Connection, cause: int, peer: str) -> None:
        if peer not in self._book.blocks:
            connection.fail(
                cause, Failure.NOT_FOUND, f"{peer!r} is not blocked on this node.", "id"
            )
            return
        self._node.handle(UnblockOrdered(peer))
        self._node.log.warning("Peer unblocked", peer=peer)
        connection.reply(cause, BlocksChanged())

    async def _allow(self, connection: Connection, cause: int, order: AllowDeletions) -> None:
        """The store decides, because it refuses them. The next comparison fetches what was refused."""
        try:
            reply = await self._node.store.ask(order)
        except AskFailed as error:
            connection.fail(cause, Failure(error.code), error.message)
        except LinkError as error:
            connection.fail(cause, Failure.UNAVAILABLE, f"the store does not answer: {error}")
        else:
            self._node.handle(DeletionsResumed(order.peer))
            if reply.were_paused:
                self._node.log.warning("Deletions of peer allowed", peer=order.peer)
                connection.reply(cause, reply)
                return
            sentence = f"deletions of {order.peer!r} are not paused on this node."
            connection.fail(cause, Failure.NOT_FOUND, sentence, "id")
