"""The discovery worker as a process of its own: sources, followers, problems, exit status, memory."""

import asyncio
import base64
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from peatnode.errors import LinkLost
from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    CONTRACT,
    Address,
    DiscoveredPeer,
    DiscoveryReply,
    FollowDiscovery,
    GetDeparture,
    GetDiscovery,
    GetMetrics,
    Hello,
    Message,
    PeerFound,
    Ping,
    Pong,
    ProblemCleared,
    ProblemRaised,
    StopWorker,
    WorkerReady,
)
from tests.support.kubernetes_api.account import make_account, make_server_tls
from tests.support.kubernetes_api.cluster import Cluster
from tests.support.kubernetes_api.server import FakeApi, Faults
from tests.support.processes import SECRET, environment, start_worker
from tests.support.waiting import until


@dataclass
class Node:
    """A running worker, the supervisor's end of its control link, and what a follower has seen."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    run_dir: Path
    instance: str
    said: list[Message] = field(default_factory=list)
    peers: dict[str, DiscoveredPeer] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for message in self.said:
            if isinstance(message, ProblemRaised):
                found[message.name] = message.message
            elif isinstance(message, ProblemCleared):
                found.pop(message.name, None)
        return found

    async def listen(self) -> None:
        frames = link_buffer()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(self.control, 65536):
                self.said += [decode_content(c)[1] for c in frames.receive_data(data)]

    async def follow(self) -> None:
        async with await Link.connect(self.run_dir / "discovery.sock", "sync") as link:
            with contextlib.suppress(LinkLost):
                async for event in link.follow(FollowDiscovery()):
                    if isinstance(event, PeerFound):
                        self.peers[event.peer.key] = event.peer
                    else:
                        self.peers.pop(event.key)

    async def ask(self) -> DiscoveryReply:
        async with await Link.connect(self.run_dir / "discovery.sock", "sync") as link:
            return await link.ask(GetDiscovery())

    async def ask_departure(self) -> str:
        async with await Link.connect(self.run_dir / "discovery.sock", "sync") as link:
            reply = await link.ask(GetDeparture())
        assert reply.is_for_good is bool(reply.reason)
        return reply.reason

    def say(self, message: Message) -> None:
        self.control.sendall(encode_frame(message, 0))

    async def stop(self, seconds: float = 5.0) -> int:
        self.say(StopWorker(seconds))
        return await asyncio.to_thread(self.process.wait, seconds)


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    nodes: list[Node] = []

    async def start_node(name: str, prefix: tuple[str, ...] = (), **settings: str) -> Node:
        number = len(nodes)
        run_dir = tmp_path / str(number)
        run_dir.mkdir(mode=0o700)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(run_dir / "discovery.sock"))
        listener.listen()
        listener.setblocking(False)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        instance = os.urandom(16).hex()
        variables = {
            "HOSTNAME": name,
            "PEAT_FORMATION_SECRET": SECRET,
            "PEAT_DATA_DIR": str(run_dir),
            "PEAT_RUN_DIR": str(run_dir),
            "PEAT_QUIC_PORT": str(12000 + number),
        }
        process = start_worker(
            "discovery",
            instance,
            theirs,
            {"discovery": listener},
            environment(**variables | settings),
            prefix=prefix,
        )
        theirs.close()
        listener.close()
        node = Node(process, ours, run_dir, instance)
        nodes.append(node)
        node.say(Hello("supervisor", os.getpid(), CONTRACT))
        node.tasks.append(asyncio.create_task(node.listen()))
        await until(lambda: process.poll() is not None or WorkerReady() in node.said)
        if WorkerReady() in node.said:
            node.tasks.append(asyncio.create_task(node.follow()))
        return node

    yield start_node
    for node in nodes:
        for task in node.tasks:
            task.cancel()
        if node.process.poll() is None:
            node.process.kill()
        node.process.wait()
        node.control.close()


LOOPBACK = {"PEAT_DISCOVERY": "mdns", "PEAT_MDNS_INTERFACES": "127.0.0.1"}


async def test_three_nodes_of_one_machine_find_each_other_and_say_goodbye(start: Start) -> None:
    nodes = [await start(f"node-{n}", **LOOPBACK) for n in range(3)]
    took = await until(lambda: all(len(node.peers) == 2 for node in nodes))
    print(f"found after {took:.2f} s")
    peer = nodes[0].peers["node-1"]
    assert (peer.instance, peer.sources, peer.is_ready) == (nodes[1].instance, ("mdns",), True)
    assert [(a.host, a.port) for a in peer.addresses] == [("127.0.0.1", 12001)]
    assert await nodes[1].stop() == 0
    took = await until(lambda: set(nodes[0].peers) == {"node-2"}, 5)
    print(f"goodbye heard after {took:.2f} s")


async def test_a_twin_is_kept_and_another_formation_is_not(start: Start) -> None:
    one = await start("node", **LOOPBACK)
    twin = await start("node", **LOOPBACK)
    other = base64.b64encode(sha256(b"another").digest()).decode()
    stranger = await start("stranger", **LOOPBACK, PEAT_FORMATION_SECRET=other)
    third = await start("third", **LOOPBACK)
    await until(lambda: len(one.peers) == 2 and len(twin.peers) == 2 and len(third.peers) == 2)
    assert {peer.instance for peer in one.peers.values()} == {twin.instance, third.instance}
    assert {peer.node_id for peer in third.peers.values()} == {"node"}
    assert {peer.instance for peer in third.peers.values()} == {one.instance, twin.instance}
    assert not stranger.peers


@pytest.fixture
def bare_machine() -> Iterator[Callable[..., tuple[str, ...]]]:
    """A network namespace with nothing but a loopback; gives what to put before a command that is to run there."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    holder = subprocess.Popen(
        ["unshare", "-rn", "sh", "-c", "ip link set lo up; echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        prefix = ("nsenter", "-U", "-n", "--preserve-credentials", "-t", str(holder.pid))
        yield lambda *command: (*prefix, *command)
        holder.kill()


Inside = Callable[..., tuple[str, ...]]


async def test_nodes_find_each_other_in_a_machine_without_a_network(
    start: Start, bare_machine: Inside
) -> None:
    nodes = [await start(f"n-{n}", bare_machine(), PEAT_DISCOVERY="mdns") for n in range(2)]
    await until(lambda: all(len(node.peers) == 1 for node in nodes))
    assert [a.host for a in nodes[0].peers["n-1"].addresses] == ["127.0.0.1"]


async def test_an_interface_that_comes_later_is_used(start: Start, bare_machine: Inside) -> None:
    nodes = [await start(f"n-{n}", bare_machine(), PEAT_DISCOVERY="mdns") for n in range(2)]
    pairs = [(nodes[0], "n-1"), (nodes[1], "n-0")]
    await until(lambda: all(key in node.peers for node, key in pairs))
    for command in (
        "link add d0 type veth peer name d1",
        "address add 10.77.0.1/24 dev d0",
        "link set d0 up",
        "link set d1 up",
    ):
        subprocess.run(bare_machine("ip", *command.split()), check=True)
    await until(
        lambda: all(node.peers[key].addresses[0].host == "10.77.0.1" for node, key in pairs)
    )
    subprocess.run(bare_machine("ip", "link", "delete", "d0"), check=True)
    late = await start("late", bare_machine(), PEAT_DISCOVERY="mdns")
    here = {"n-0": Address("127.0.0.1", 12000), "n-1": Address("127.0.0.1", 12001)}
    await until(
        lambda: all(k in late.peers and a in late.peers[k].addresses for k, a in here.items())
    )
    await until(lambda: all("late" in node.peers for node in nodes))


async def test_no_interface_at_all_is_a_problem_until_there_is_one(
    start: Start, bare_machine: Inside
) -> None:
    subprocess.run(bare_machine("ip", "link", "set", "lo", "down"), check=True)
    node = await start("n", bare_machine(), PEAT_DISCOVERY="mdns")
    await until(lambda: "discovery.mdns" in node.problems)
    subprocess.run(bare_machine("ip", "link", "set", "lo", "up"), check=True)
    await until(lambda: not node.problems, 20)
    other = await start("other", bare_machine(), PEAT_DISCOVERY="mdns")
    await until(lambda: len(node.peers) == len(other.peers) == 1)


async def test_static_peers_by_address_and_by_name(start: Start) -> None:
    peers = "node-b@127.0.0.1:12700,127.0.0.2:12701,localhost:12702,nowhere.invalid:12703,me@127.0.0.1:12000"
    node = await start("me", PEAT_DISCOVERY="static", PEAT_STATIC_PEERS=peers)
    await until(lambda: len(node.peers) == 3 and "discovery.static" in node.problems)
    assert set(node.peers) == {"node-b", "127.0.0.2:12701", "localhost:12702"}
    assert "nowhere.invalid" in node.problems["discovery.static"]
    reply = await node.ask()
    assert [(s.name, s.state, s.peers) for s in reply.sources] == [("static", "failing", 3)]
    assert {peer.key for peer in reply.peers} == set(node.peers)


async def test_outside_a_cluster_it_ends_with_a_sentence_and_status_78(start: Start) -> None:
    node = await start("node")
    assert await asyncio.to_thread(node.process.wait, 5) == 78
    await until(lambda: "configuration" in node.problems)
    assert "PEAT_DISCOVERY=mdns" in node.problems["configuration"]


async def test_several_sources_at_once_and_figures(start: Start) -> None:
    mixed = {**LOOPBACK, "PEAT_DISCOVERY": "mdns,static"}
    one = await start("one", **mixed, PEAT_STATIC_PEERS="two@127.0.0.1:12001,127.0.0.9:12009")
    two = await start("two", **LOOPBACK)
    await until(lambda: len(one.peers) == 2 and one.peers["two"].sources == ("mdns", "static"))
    assert await two.stop() == 0
    await until(lambda: one.peers["two"].sources == ("static",))
    async with await Link.connect(one.run_dir / "discovery.sock", "broker") as link:
        metrics = (await link.ask(GetMetrics())).metrics
    values = {(m.name, *m.labels): m.value for m in metrics}
    assert values[("peatnode_discovery_peers",)] == 2
    assert values[("peatnode_discovery_source_peers", ("source", "static"))] == 2
    one.say(Ping(7))
    await until(lambda: any(isinstance(m, Pong) for m in one.said))
    print("PSS", next(m.memory_bytes for m in one.said if isinstance(m, Pong)) / 2**20, "MB")


async def test_a_node_killed_and_started_anew_is_one_peer(start: Start) -> None:
    watcher = await start("watcher", **LOOPBACK)
    first = await start("node", **LOOPBACK)
    await until(lambda: "node" in watcher.peers)
    first.process.send_signal(signal.SIGKILL)
    second = await start("node", **LOOPBACK, PEAT_QUIC_PORT="12001")
    await until(lambda: watcher.peers["node"].instance == second.instance)
    assert set(watcher.peers) == {"node"}
    assert not [key for key in second.peers if key != "watcher"]


async def test_in_a_pod_it_follows_the_api_server_over_tls(start: Start, tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.mkdir()
    api = FakeApi()
    cluster = Cluster(api.write)
    cluster.add("peat-mesh-0", "10.0.0.1")
    cluster.add("peat-mesh-1", "10.0.0.2", "fd00::2")
    async with api.serve(make_server_tls(account)) as port:
        environment = make_account(account, port)
        node = await start("peat-mesh-0", PEAT_CLUSTER="alpha", **environment)
        await until(lambda: set(node.peers) == {"peat-mesh-1.alpha"})
        (peer,) = node.peers.values()
        assert (peer.node_id, peer.sources) == ("peat-mesh-1.alpha", ("kubernetes",))
        cluster.add("peat-mesh-2", "10.0.0.3")
        assert await until(lambda: "peat-mesh-2.alpha" in node.peers, 2) < 1
        cluster.change("peat-mesh-2", is_ready=False, is_terminating=True)
        await until(lambda: node.peers["peat-mesh-2.alpha"].is_terminating, 2)
        cluster.remove("peat-mesh-2")
        assert await until(lambda: "peat-mesh-2.alpha" not in node.peers, 2) < 1
        api.faults.list_status = api.faults.watch_status = 403
        api.drop_watches()
        await until(lambda: "Role" in str(node.said), 5)
        assert "status 403" in node.problems["discovery.kubernetes"]
        api.faults = Faults()
        await until(lambda: not node.problems, 25)
        assert set(node.peers) == {"peat-mesh-1.alpha"}
        assert await node.stop() == 0


async def test_in_a_pod_it_knows_whether_the_pod_comes_back(start: Start, tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.mkdir()
    api = FakeApi()
    cluster = Cluster(api.write)
    cluster.scale(3)
    async with api.serve(make_server_tls(account)) as port:
        environment = make_account(account, port)
        node = await start("peat-mesh-2", PEAT_CLUSTER="alpha", **environment)
        assert await node.ask_departure() == ""
        cluster.scale(2)
        assert await node.ask_departure() == "the StatefulSet peat-mesh is scaled to 2"
        other = await start("peat-mesh-1", **environment)
        assert await other.ask_departure() == ""
        assert await node.stop() == await other.stop() == 0


async def test_where_nobody_orchestrates_a_stop_is_never_for_good(start: Start) -> None:
    node = await start("node-7", PEAT_DISCOVERY="mdns,static", PEAT_MDNS_INTERFACES="127.0.0.1")
    assert await node.ask_departure() == ""


async def test_a_server_that_another_authority_signed_is_not_believed(
    start: Start, tmp_path: Path
) -> None:
    account = tmp_path / "account"
    account.mkdir()
    api = FakeApi()
    tls = make_server_tls(account)
    make_server_tls(account)  # the pod's authority is now another one
    async with api.serve(tls) as port:
        node = await start("peat-mesh-0", **make_account(account, port))
        await until(lambda: "discovery.kubernetes" in node.problems)
        assert "CERTIFICATE_VERIFY_FAILED" in node.problems["discovery.kubernetes"]
        assert not api.counted.lists
