"""Real sync workers on loopback, each with a stand-in for store and discovery behind the real links."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peatnode.identity import instance_of, instance_private_key
from peatnode.ipc import messages
from peatnode.ipc.link import Connection, Link, LinkServer, serve
from peatnode.ipc.messages import Message
from peatnode.model.sync import StoreQuestion
from tests.sim.standin import StandinStore
from tests.support.feed_changes import change_of
from tests.support.processes import FIRST_PORT, LAST_PORT, node_environment, start_worker


def secret_of(name: str) -> bytes:
    """The secret of a formation of this name."""
    return hashlib.sha256(name.encode()).digest()


def bind_udp(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A free port below those of outgoing connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            sock.bind((host, port or FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)))
        except OSError:
            sock.close()
            if port:
                raise
        else:
            return sock
    raise AssertionError("no free port")


def bind_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(64)
    return sock


class FakeStore:
    """Answers the store's questions out of a StandinStore, and feeds its changes."""

    def __init__(self, path: Path) -> None:
        self.standin = StandinStore()
        self.asked: list[Message] = []
        self._path = path
        self._server: LinkServer | None = None
        self._followers: dict[Connection, tuple[int, int]] = {}
        self.is_mute = False
        """Sends no changes to its followers, however often they follow again."""

    async def start(self) -> None:
        sock = bind_unix(self._path)
        self._server = await serve(sock, "store", self._received, self._closed)
        sock.close()

    async def close(self) -> None:
        assert self._server is not None
        await self._server.close()
        self._followers.clear()

    def _closed(self, connection: Connection) -> None:
        self._followers.pop(connection, None)

    def _received(self, connection: Connection, cause: int, message: Message) -> None:
        self.asked.append(message)
        if isinstance(message, messages.FollowChanges):
            since = self.standin.sequence if message.since < 0 else message.since
            self._followers[connection] = (cause, since)
        else:
            connection.reply(cause, self._answer(message))
        self.feed()

    def go_quiet(self) -> None:
        """Present followers receive nothing more, and their streams stay open."""
        self._followers.clear()

    def feed(self) -> None:
        upto = -1 if self.is_mute else self.standin.sequence
        for connection, (cause, since) in self._followers.items():
            if since < upto:
                changes = [self._change(i) for i in range(since, upto)]
                connection.reply(cause, messages.ChangesSeen(tuple(changes), upto))
                self._followers[connection] = (cause, upto)

    def _change(self, index: int) -> messages.Change:
        update, origin = self.standin.feed[index]
        return change_of(index + 1, origin, update)

    def write(self, collection: str, id_: str) -> None:
        self.standin.write((collection, id_), 1 + hash(self._path) % 1000)
        self.feed()

    def _answer(self, message: Message) -> Message:
        if isinstance(message, messages.GetStore):
            sequence = self.standin.sequence
            return messages.StoreReply(0, 0, sequence, 1, b"", 1, 0, 0, True, "", (), True)
        assert isinstance(message, StoreQuestion)
        return self.standin.answer(message)


class FakeDiscovery:
    def __init__(self, path: Path) -> None:
        self.peers: dict[str, messages.DiscoveredPeer] = {}
        self.is_departure = False
        """Whether the node is removed for good when it stops."""
        self._path = path
        self._server: LinkServer | None = None
        self._followers: dict[Connection, int] = {}

    async def start(self) -> None:
        sock = bind_unix(self._path)
        self._server = await serve(sock, "discovery", self._received, self._closed)
        sock.close()

    async def close(self) -> None:
        assert self._server is not None
        await self._server.close()

    def _closed(self, connection: Connection) -> None:
        self._followers.pop(connection, None)

    def _received(self, connection: Connection, cause: int, message: Message) -> None:
        if isinstance(message, messages.GetDeparture):
            connection.reply(cause, messages.DepartureReply(self.is_departure, "scaled down"))
            return
        assert isinstance(message, messages.FollowDiscovery)
        self._followers[connection] = cause
        for peer in self.peers.values():
            connection.reply(cause, messages.PeerFound(peer))

    def found(self, key: str, port: int, *, node_id: str = "", instance: str = "") -> None:
        peer = messages.DiscoveredPeer(
            key,
            node_id,
            instance,
            (messages.Address("127.0.0.1", port),),
            ("static",),
            True,
            False,
            (),
        )
        self.peers[key] = peer
        for connection, cause in self._followers.items():
            connection.reply(cause, messages.PeerFound(peer))

    def lost(self, key: str) -> None:
        del self.peers[key]
        for connection, cause in self._followers.items():
            connection.reply(cause, messages.PeerLost(key))


class Worker:
    """One node: its sync worker is a process, its store and discovery live in the test."""

    def __init__(
        self,
        directory: Path,
        node_id: str,
        secret: str = "secret",
        udp: socket.socket | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.node_id = node_id
        self.instance_seed = secrets.token_bytes(32)
        key = instance_private_key(self.instance_seed).public_key().public_bytes_raw()
        self.instance = instance_of(key).hex()
        self.run_dir = directory / f"{node_id}-{self.instance[:4]}"
        self.run_dir.mkdir(mode=0o700)
        self.udp = udp or bind_udp()
        self.port: int = self.udp.getsockname()[1]
        self.unix = bind_unix(self.run_dir / "sync.sock")
        self.store = FakeStore(self.run_dir / "store.sock")
        self.discovery = FakeDiscovery(self.run_dir / "discovery.sock")
        self.log_path = self.run_dir / "log"
        self._environment = environment or {}
        self._secret = base64.b64encode(secret_of(secret)).decode()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._link: Link | None = None

    async def open(self) -> None:
        await self.store.start()
        await self.discovery.start()
        self.start_process()

    def start_process(self) -> None:
        if self._control is not None:
            self._control.close()
        control, child_control = socket.socketpair()
        variables = {
            "HOSTNAME": self.node_id,
            "PEAT_FORMATION_SECRET": self._secret,
            "PEAT_RUN_DIR": str(self.run_dir),
            "PEAT_LOG": "info,peatnode=debug",
            **self._environment,
        }
        self._process = start_worker(
            "sync",
            self.instance,
            child_control,
            {"sync": self.unix, "quic": self.udp},
            node_environment(self.run_dir, **variables),
            log_path=self.log_path,
            instance_seed=self.instance_seed,
        )
        child_control.close()
        self._control = control

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    async def ask(self, message: Any, timeout: float = 10.0) -> Any:
        if self._link is None or not self._link.is_open:
            self._link = await Link.connect(self.run_dir / "sync.sock", "test")
        return await self._link.ask(message, timeout)

    async def link(self) -> Link:
        await self.ask(messages.GetPeers())
        assert self._link is not None
        return self._link

    async def peers(self) -> list[messages.PeerState]:
        reply: messages.PeersReply = await self.ask(messages.GetPeers())
        return list(reply.peers)

    async def wait_connected(self, count: int, seconds: float = 15.0) -> list[messages.PeerState]:
        end = time.monotonic() + seconds
        while True:
            peers = [peer for peer in await self.peers() if peer.is_connected]
            if len(peers) == count:
                return peers
            if time.monotonic() > end:
                raise AssertionError(f"{self.node_id}: {await self.peers()}\n{self.log()}")
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()
        if self.is_running:
            self.kill()
        if self._control is not None:
            self._control.close()
        await self.store.close()
        await self.discovery.close()
        self.unix.close()
        self.udp.close()


def introduce(*workers: Worker, with_ids: bool = True) -> None:
    for one in workers:
        for other in workers:
            if other is one:
                continue
            if with_ids:
                one.discovery.found(
                    other.node_id, other.port, node_id=other.node_id, instance=other.instance
                )
            else:
                one.discovery.found(f"127.0.0.1:{other.port}", other.port)
