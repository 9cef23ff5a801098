"""The other workers of a node, in memory, behind real links: for what a real node cannot be brought to do on demand."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from peatnode.ipc import messages as m
from peatnode.ipc.link import Connection, LinkServer, serve
from peatnode.supervision.workers import WORKERS

BLOCKED = m.PeerStatus.BLOCKED


def blocked_peer(name: str, reason: str = "") -> m.PeerState:
    """A peer that an operator has blocked before it was ever seen."""
    return m.PeerState(
        *(name, "", "", False, BLOCKED, -1.0, False, -1, 0.0, reason, 0.0, 0.0),
        *((), (), (), (), 0, 0, False, ""),
        blocked_since=40.0,
    )


@dataclass
class Record:
    incarnation: int
    fingerprint: bytes
    sequence: int
    value: bytes


@dataclass
class MemoryNode:
    """Answers on all five sockets of `run_dir`."""

    run_dir: Path
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    changes: list[m.Change] = field(default_factory=list)
    oldest: int = 0
    sequence: int = 0
    generation: int = 1
    is_writable: bool = True
    replicas: int = 0
    peers: tuple[m.PeerState, ...] = ()
    peer_log: tuple[m.PeerEvent, ...] = ()
    is_leaving: bool = False
    not_yet: int = 0
    """Refuse so many orders to forget a peer, because the node has just started."""
    now: float = 0.0
    """What its clock shows to those who ask for peers; 0: it does not tell."""
    problems: tuple[m.WorkerProblem, ...] = ()
    swallow_writes: int = 0
    """Carry out so many writes, and cut the link instead of answering."""
    failure: m.Failed | None = None
    conflicts: dict[bytes, m.ConflictReply] = field(default_factory=dict)
    deleted: dict[tuple[str, str, int], m.DeletedDocumentReply] = field(default_factory=dict)
    quarantine: dict[bytes, m.QuarantineEntry] = field(default_factory=dict)
    servers: dict[str, LinkServer] = field(default_factory=dict)
    followers: list[tuple[Connection, int, m.FollowChanges]] = field(default_factory=list)
    topology: list[tuple[Connection, int]] = field(default_factory=list)

    async def start(self) -> None:
        for name in ("store", "sync", "supervisor", "discovery", "engine"):
            await self.start_worker(name)

    async def start_worker(self, name: str) -> None:
        path = self.run_dir / f"{name}.sock"
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen()
        sock.setblocking(False)
        self.servers[name] = await serve(sock, name, self.on_message)
        sock.close()

    async def stop_worker(self, name: str) -> None:
        server = self.servers.pop(name)
        await server.close()
        if name == "store":
            self.followers.clear()

    async def close(self) -> None:
        for name in list(self.servers):
            await self.stop_worker(name)

    def on_message(self, connection: Connection, cause: int, message: m.Message) -> None:
        match message:
            case m.GetDocument():
                self._get(connection, cause, message)
            case m.WriteDocument():
                self._write(connection, cause, message)
            case m.ListDocuments():
                connection.reply(cause, self._list(message))
            case m.ListCollections():
                connection.reply(cause, self._collections(message))
            case m.GetStore():
                connection.reply(cause, self._store())
            case m.ListDeletedCollections(after, limit):
                names = sorted({name for name, *_ in self.deleted if name > after})
                more = names[limit - 1] if len(names) > limit else ""
                size = sum(reply.entry.size for reply in self.deleted.values())
                connection.reply(
                    cause,
                    m.DeletedCollectionsReply(tuple(names[:limit]), more, len(self.deleted), size),
                )
            case m.ListDeleted():
                connection.reply(cause, self._deleted_page(message))
            case m.ReadDeleted(collection, document, incarnation):
                found = self._deleted(collection, document, incarnation)
                if found is None:
                    connection.fail(cause, m.Failure.NOT_FOUND, "nothing is kept", "id")
                else:
                    connection.reply(cause, found)
            case m.UndeleteDocument(collection, document, incarnation):
                self._undelete(connection, cause, collection, document, incarnation)
            case m.ListConflicts():
                entries = tuple(kept.conflict for kept in self.conflicts.values())
                connection.reply(cause, m.ConflictsReply(entries, 0))
            case m.ReadConflict(number) if number in self.conflicts:
                connection.reply(cause, self.conflicts[number])
            case m.ReadConflict():
                connection.fail(cause, m.Failure.NOT_FOUND, "there is no such conflict", "id")
            case m.DismissConflict(number):
                was_kept = self.conflicts.pop(number, None) is not None
                connection.reply(cause, m.ConflictDismissed(was_kept))
            case m.ListQuarantine():
                connection.reply(cause, m.QuarantineReply(tuple(self.quarantine.values()), 0))
            case m.AcceptQuarantined(number) if self.quarantine.pop(number, None):
                connection.reply(cause, m.QuarantineAccepted(m.Outcome.APPLIED))
            case m.AcceptQuarantined():
                connection.fail(cause, m.Failure.NOT_FOUND, "there is no such entry", "id")
            case m.DropQuarantined(number):
                was_kept = self.quarantine.pop(number, None) is not None
                connection.reply(cause, m.QuarantineDropped(was_kept))
            case m.FollowChanges():
                self._follow(connection, cause, message)
            case m.FollowTopology():
                self.topology.append((connection, cause))
            case m.WaitReplicas():
                names = tuple(peer.id for peer in self.peers[: self.replicas])
                connection.reply(cause, m.ReplicasReply(self.replicas, names))
            case m.GetPeers():
                connection.reply(cause, m.PeersReply(self.peers, bytes(16), (), now=self.now))
            case m.GetPeerLog():
                connection.reply(cause, m.PeerLogReply(self.peer_log))
            case m.LeaveMesh():
                self.is_leaving = True
                connection.reply(cause, m.Leaving())
            case m.ForgetPeer():
                self._forget(connection, cause, message)
            case m.BlockPeer():
                self._block(connection, cause, message)
            case m.AllowDeletions():
                self._allow(connection, cause, message)
            case m.UnblockPeer():
                self._unblock(connection, cause, message)
            case m.GetNode():
                connection.reply(cause, self._node())
            case m.GetDiscovery():
                source = m.SourceState("static", "watching", "", 0, 0.0)
                connection.reply(cause, m.DiscoveryReply((source,), ()))
            case m.GetMetrics():
                worker = next(
                    name for name, one in self.servers.items() if connection in one.connections
                )
                sample = m.Metric(f"peatnode_{worker}_things_total", (("kind", "a"),), 3.0)
                connection.reply(cause, m.MetricsReply((sample,)))
            case _:
                connection.fail(cause, m.Failure.INVALID, f"nobody knows {message.TAG}")

    def lose_files(self) -> None:
        """What a store is like whose disk was replaced."""
        self.records.clear()
        self.changes.clear()
        self.sequence = self.oldest = 0
        self.generation += 1

    def announce(self, event: m.Message) -> None:
        for connection, cause in self.topology:
            connection.reply(cause, event)

    def put(self, collection: str, doc_id: str, value: object, origin: str = "") -> m.WrittenReply:
        key = (collection, doc_id)
        old = self.records.get(key)
        body = orjson.dumps(value)
        if old is not None and old.value == body:
            return self._written(key, old, False, False)
        self.sequence += 1
        digest = hashlib.sha256(body + str(self.sequence).encode()).digest()[:16]
        self.records[key] = Record(1, digest, self.sequence, body)
        self._tell(key, "updated" if old else "created", digest, body, origin)
        return self._written(key, self.records[key], old is None, True)

    def delete(self, collection: str, doc_id: str) -> None:
        del self.records[collection, doc_id]
        self.sequence += 1
        self._tell((collection, doc_id), "deleted", bytes(16), b"", "")

    def _written(self, key: tuple[str, str], record: Record, created: bool, changed: bool):  # type: ignore[no-untyped-def]
        return m.WrittenReply(
            *key,
            created,
            changed,
            record.incarnation,
            record.fingerprint,
            record.sequence,
            record.value,
            0.0,
        )

    def _tell(self, key: tuple[str, str], action: str, digest: bytes, body: bytes, by: str) -> None:
        change = m.Change(self.sequence, *key, action, 1, digest, by, b"", body)
        self.changes.append(change)
        for connection, cause, follow in self.followers:
            if _wants(follow, change):
                connection.reply(cause, m.ChangesSeen((change,), self.sequence))

    def _follow(self, connection: Connection, cause: int, follow: m.FollowChanges) -> None:
        since = self.sequence if follow.since < 0 else follow.since
        if since < self.oldest:
            connection.reply(cause, m.FeedGap(since, self.oldest))
            since = self.oldest
        missed = tuple(c for c in self.changes if c.sequence > since and _wants(follow, c))
        if since < self.sequence:
            connection.reply(cause, m.ChangesSeen(missed, self.sequence))
        self.followers.append((connection, cause, follow))

    def _get(self, connection: Connection, cause: int, message: m.GetDocument) -> None:
        record = self.records.get((message.collection, message.id))
        if record is None:
            connection.fail(cause, m.Failure.NOT_FOUND, f"There is no document {message.id!r}.")
            return
        reply = m.DocumentReply(
            message.collection,
            message.id,
            record.incarnation,
            record.fingerprint,
            record.sequence,
            record.value,
            0.0,
        )
        connection.reply(cause, reply)

    def _write(self, connection: Connection, cause: int, message: m.WriteDocument) -> None:
        if self.failure is not None:
            connection.reply(cause, self.failure)
            return
        key = (message.collection, message.id)
        record = self.records.get(key)
        held = record.fingerprint if record else None
        wanted, unwanted = message.if_match, message.if_none_match
        if (wanted and held not in wanted and not (held and b"*" in wanted)) or (
            held and (held in unwanted or b"*" in unwanted)
        ):
            connection.fail(cause, m.Failure.PRECONDITION, "The document is another one by now.")
            return
        if record is None and message.kind is m.WriteKind.DELETE:
            connection.fail(cause, m.Failure.NOT_FOUND, "There is no such document.")
            return
        reply = self._carry_out(message, record)
        if self.swallow_writes:
            self.swallow_writes -= 1
            connection.close()
            return
        connection.reply(cause, reply)

    def _carry_out(self, message: m.WriteDocument, record: Record | None) -> m.WrittenReply:
        key = (message.collection, message.id)
        match message.kind:
            case m.WriteKind.PUT:
                return self.put(*key, orjson.loads(message.body))
            case m.WriteKind.DELETE:
                assert record is not None
                self.delete(*key)
                return m.WrittenReply(*key, False, True, 1, bytes(16), self.sequence, b"", 0.0)
            case m.WriteKind.PATCH | m.WriteKind.JSON_PATCH:
                value = orjson.loads(record.value) if record else {}
                patch = orjson.loads(message.body)
                value.update(patch if isinstance(patch, dict) else {"patched": len(patch)})
                return self.put(*key, value)

    def _forget(self, connection: Connection, cause: int, message: m.ForgetPeer) -> None:
        if self.not_yet:
            self.not_yet -= 1
            connection.fail(cause, m.Failure.UNAVAILABLE, "the peers are not read yet; try again")
            return
        known = [peer for peer in self.peers if peer.id == message.peer]
        if not known:
            connection.fail(
                cause, m.Failure.NOT_FOUND, f"this node remembers no peer {message.peer!r}", "id"
            )
        elif any(peer.is_connected for peer in known):
            connection.fail(cause, m.Failure.INVALID, f"{message.peer} is connected", "id")
        else:
            self.peers = tuple(peer for peer in self.peers if peer.id != message.peer)
            connection.reply(cause, m.PeerForgotten())

    def _block(self, connection: Connection, cause: int, message: m.BlockPeer) -> None:
        if message.peer == "memory":
            connection.fail(cause, m.Failure.INVALID, "this node cannot block itself", "id")
            return
        others = tuple(peer for peer in self.peers if peer.id != message.peer)
        self.peers = (*others, blocked_peer(message.peer, message.reason))
        connection.reply(cause, m.BlocksChanged())

    def _allow(self, connection: Connection, cause: int, message: m.AllowDeletions) -> None:
        if not any(peer.deletions_paused_since for peer in self.peers if peer.id == message.peer):
            connection.fail(cause, m.Failure.NOT_FOUND, "deletions are not paused", "id")
            return
        self.peers = tuple(
            replace(peer, deletions_paused_since=0.0) if peer.id == message.peer else peer
            for peer in self.peers
        )
        connection.reply(cause, m.DeletionsAllowed(True))

    def _unblock(self, connection: Connection, cause: int, message: m.UnblockPeer) -> None:
        kept = tuple(
            peer for peer in self.peers if (peer.id, peer.state) != (message.peer, BLOCKED)
        )
        if kept == self.peers:
            connection.fail(cause, m.Failure.NOT_FOUND, f"{message.peer!r} is not blocked", "id")
            return
        self.peers = kept
        connection.reply(cause, m.BlocksChanged())

    def _list(self, message: m.ListDocuments) -> m.DocumentsReply:
        names = sorted(name for where, name in self.records if where == message.collection)
        after = [n for n in names if n > message.after and n.startswith(message.prefix)]
        page = after[: message.limit]
        documents = tuple(
            m.ListedDocument(n, r.incarnation, r.fingerprint, r.sequence, r.value)
            for n in page
            for r in [self.records[message.collection, n]]
        )
        more = page[-1] if len(after) > len(page) else ""
        return m.DocumentsReply(message.collection, documents, more, len(names), self.sequence)

    def _collections(self, message: m.ListCollections) -> m.CollectionsReply:
        counts = Counter(collection for collection, _ in self.records)
        names = [name for name in sorted(counts) if name > message.after]
        page = names[: message.limit]
        entries = tuple(m.CollectionEntry(name, counts[name]) for name in page)
        return m.CollectionsReply(entries, "" if page == names else page[-1], len(counts))

    def _deleted_page(self, request: m.ListDeleted) -> m.DeletedReply:
        found = [
            reply.entry
            for (name, document, _), reply in sorted(self.deleted.items())
            if name == request.collection and document.startswith(request.prefix)
            if document.encode() > request.place and reply.entry.at >= request.since
        ]
        page = tuple(found[: request.limit])
        place = page[-1].id.encode() if len(found) > request.limit else b""
        return m.DeletedReply(request.collection, page, place)

    def _deleted(
        self, collection: str, document: str, incarnation: int
    ) -> m.DeletedDocumentReply | None:
        kept = {
            number: reply
            for (*names, number), reply in self.deleted.items()
            if names == [collection, document] and incarnation in (0, number)
        }
        return kept[max(kept)] if kept else None

    def _undelete(
        self, connection: Connection, cause: int, collection: str, document: str, incarnation: int
    ) -> None:
        found = self._deleted(collection, document, incarnation)
        if (collection, document) in self.records:
            connection.fail(cause, m.Failure.EXISTS, f"{collection}/{document} exists", "id")
        elif found is None:
            connection.fail(cause, m.Failure.NOT_FOUND, "nothing is kept", "id")
        else:
            self.put(collection, document, orjson.loads(found.value))
            record = self.records[collection, document]
            reply = m.WrittenReply(
                collection,
                document,
                True,
                True,
                record.incarnation,
                record.fingerprint,
                record.sequence,
                record.value,
                0.0,
            )
            connection.reply(cause, reply)

    def _store(self) -> m.StoreReply:
        return m.StoreReply(
            documents=len(self.records),
            tombstones=0,
            sequence=self.sequence,
            oldest_sequence=self.oldest,
            root=bytes(16),
            generation=self.generation,
            disk_bytes=1,
            disk_free_bytes=10**11,
            is_writable=self.is_writable,
            problem="" if self.is_writable else "the disk is full",
            quarantined=(),
            engine_is_ready=True,
        )

    def _node(self) -> m.NodeReply:
        names = [spec.name for spec in WORKERS]
        workers = tuple(
            m.WorkerState(name, "ready", 1, 0, 0, 1000, 0.0, time.time(), "") for name in names
        )
        return m.NodeReply(
            node_id="memory",
            cluster="",
            instance="0" * 32,
            device_id="d",
            endpoint_id="e",
            version="0.1.0",
            pid=1,
            started_at=time.time(),
            uptime_seconds=5.0,
            data_dir="/data",
            broker_address="127.0.0.1:1",
            quic_port=1,
            discovery=("static",),
            has_token=False,
            is_stopping=False,
            supervisor_memory_bytes=1000,
            workers=workers,
            problems=self.problems,
        )


def _wants(follow: m.FollowChanges, change: m.Change) -> bool:
    return (
        follow.collection in ("", change.collection)
        and follow.id in ("", change.id)
        and change.id.startswith(follow.prefix)
    )


async def run_forever(run_dir: Path) -> None:
    node = MemoryNode(run_dir)
    await node.start()
    await asyncio.Event().wait()


def kept_deleted(
    document: str, incarnation: int = 1, value: bytes = b'{"a":1}', is_live: bool = False
) -> m.DeletedDocumentReply:
    """What a store keeps of a deleted document."""
    entry = m.DeletedEntry(document, incarnation, 5.5, 90.0, "ab" * 16, 300, 0.0, is_live)
    return m.DeletedDocumentReply(entry, value)


def kept_conflict(number: int = 7, value: bytes = b'{"pay":"Bob"}') -> m.ConflictReply:
    """What a store keeps of a document that lost."""
    entry = m.ConflictEntry(
        number.to_bytes(16, "big"), 1.5, "notes", "payment", 1, (5,), "ab" * 16, True, 99
    )
    return m.ConflictReply(entry, b"\0\0", value)


def quarantined(number: int = 7, reason: str = "leap") -> m.QuarantineEntry:
    """An entry of the quarantine."""
    peer = "ab" * 16 if reason == "leap" else ""
    return m.QuarantineEntry(
        number.to_bytes(16, "big"),
        m.QuarantineReason(reason),
        1.5 if peer else 0.0,
        "notes",
        "payment",
        2,
        2**40 - 1,
        bool(peer),
        peer,
        9,
    )
