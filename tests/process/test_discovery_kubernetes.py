"""The Kubernetes source over real sockets, against an API server that behaves like the real one at its worst."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from tests.support.kubernetes_api.account import Account
from tests.support.kubernetes_api.cluster import Cluster, make_slice
from tests.support.kubernetes_api.server import FakeApi, Faults
from tests.support.waiting import until
from workers.discovery.kubernetes.api_client import ApiClient, Timeouts
from workers.discovery.kubernetes.list_watch import Timings
from workers.discovery.kubernetes.slice_table import Naming
from workers.discovery.kubernetes.source import KubernetesSource
from workers.discovery.sighting import Sighting, SightingsChanged

FAST = Timings(
    relist_seconds=1.5,
    watch_seconds=3.0,
    shortest_backoff=0.05,
    longest_backoff=0.5,
    longest_retry_after=1.0,
)
SHORT_TIMEOUTS = Timeouts(connect=1.0, response=1.0, idle=1.0)


@dataclass
class Seen:
    """A SourceReport that keeps what it receives."""

    peers: dict[str, Sighting] = field(default_factory=dict)
    problem: str = ""
    advice: str = ""
    losses: list[str] = field(default_factory=list)

    def change(self, source: str, changed: SightingsChanged) -> None:
        for sighting in changed.found:
            self.peers[sighting.key] = sighting
        for key in changed.lost:
            del self.peers[key]
            self.losses.append(key)

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        self.problem, self.advice = message, advice

    def clear_problem(self, source: str) -> None:
        self.problem = self.advice = ""

    def truth(self) -> dict[str, tuple[frozenset[str], bool, bool]]:
        shown = {}
        for peer in self.peers.values():
            assert peer.condition is not None
            hosts = frozenset(address.host for address in peer.addresses)
            shown[peer.node_id] = (hosts, peer.condition.is_ready, peer.condition.is_terminating)
        return shown

    async def wait(self, condition: Callable[[], bool], seconds: float) -> float:
        """How long it took."""
        return await until(condition, seconds)


@contextlib.asynccontextmanager
async def watching(
    port: int,
    timings: Timings | None = FAST,
    timeouts: Timeouts | None = SHORT_TIMEOUTS,
    account: Account | None = None,
) -> AsyncIterator[tuple[Seen, KubernetesSource]]:
    seen = Seen()
    naming = Naming(cluster="", own_name="peat-mesh-me", own_namespace="mesh")
    source = KubernetesSource(
        ApiClient(account or Account(port), timeouts),
        naming,
        "mesh",
        "app=peat-mesh",
        seen,
        timings,
    )
    task = asyncio.create_task(source.run())
    try:
        yield seen, source
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def metric(source: KubernetesSource, name: str) -> float:
    return next(m.value for m in source.metrics() if m.name == f"peatnode_discovery_{name}")


def is_watching(source: KubernetesSource) -> bool:
    return metric(source, "watching") == 1


@pytest.fixture
async def api() -> AsyncIterator[tuple[FakeApi, Cluster, int]]:
    api = FakeApi(bookmark_seconds=0.3)
    async with api.serve() as port:
        yield api, Cluster(api.write), port


Api = tuple[FakeApi, Cluster, int]


async def test_a_peer_is_found_and_lost_within_a_second_of_its_endpoint(api: Api) -> None:
    _, cluster, port = api
    cluster.add("peat-mesh-me", "10.0.0.1")
    cluster.add("peat-mesh-1", "10.0.0.2", "fd00::2")
    async with watching(port, timings=None, timeouts=None) as (seen, source):
        await seen.wait(lambda: set(seen.truth()) == {"peat-mesh-1"}, 2)
        (peer,) = seen.peers.values()
        assert [(a.host, a.port) for a in peer.addresses] == [
            ("10.0.0.2", 11204),
            ("fd00::2", 11204),
        ]
        assert source.condition().state == "watching"
        cluster.add("peat-mesh-2", "10.0.0.3")
        assert await seen.wait(lambda: "peat-mesh-2" in seen.truth(), 1) < 1
        cluster.change("peat-mesh-2", is_ready=False, is_terminating=True)
        going = (frozenset({"10.0.0.3"}), False, True)
        await seen.wait(lambda: seen.truth()["peat-mesh-2"] == going, 1)
        cluster.remove("peat-mesh-2")
        assert await seen.wait(lambda: "peat-mesh-2" not in seen.truth(), 1) < 1
        # After the first cut of a watch there is no pause either.
        api[0].drop_watches()
        cluster.add("peat-mesh-3", "10.0.0.4")
        assert await seen.wait(lambda: "peat-mesh-3" in seen.truth(), 1) < 1


async def test_thousands_of_endpoints_in_many_slices(api: Api) -> None:
    fake, cluster, port = api
    cluster.add_many({f"p-{n}": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(5000)})
    fake.faults.small_chunks = False
    async with watching(port, timings=None, timeouts=None) as (seen, source):
        took = await seen.wait(lambda: len(seen.peers) == 5000, 10)
        assert source.condition().state == "watching"
        cluster.remove("p-77")
        await seen.wait(lambda: "p-77" not in seen.truth(), 1)
        assert seen.truth() == cluster.truth()
    print(f"5,000 endpoints listed in {took:.2f} s")


async def test_a_slice_without_the_port_names_nobody(api: Api) -> None:
    fake, cluster, port = api
    cluster.add("peat-mesh-1", "10.0.0.2")
    other = make_slice("other", [{"addresses": ["10.0.0.9"]}])
    other["ports"] = [{"name": "http", "port": 8081}]
    fake.write("other", other)
    unlabelled = make_slice("unlabelled", [{"addresses": ["10.0.0.8"]}])
    unlabelled["metadata"]["labels"] = {"app": "other"}
    fake.write("unlabelled", unlabelled)
    async with watching(port) as (seen, _):
        await seen.wait(lambda: seen.truth() == cluster.truth(), 2)


@pytest.mark.parametrize(
    ("status", "word"), [(403, "Role"), (401, "token"), (404, "namespace"), (500, "API server")]
)
async def test_a_refusal_is_a_problem_in_words_and_is_over_when_it_is_over(
    api: Api, status: int, word: str
) -> None:
    fake, cluster, port = api
    cluster.add("peat-mesh-1", "10.0.0.2")
    fake.faults.list_status = fake.faults.watch_status = status
    async with watching(port) as (seen, source):
        await seen.wait(lambda: bool(seen.problem), 5)
        assert f"status {status}" in seen.problem
        assert word in seen.advice
        assert source.condition().state == "failing"
        fake.faults = Faults()
        await seen.wait(lambda: seen.truth() == cluster.truth(), 3)
        await seen.wait(lambda: not seen.problem, 3)


async def test_what_is_known_stays_known_while_the_server_is_away(api: Api) -> None:
    fake, cluster, port = api
    cluster.add("peat-mesh-1", "10.0.0.2")
    async with watching(port) as (seen, _):
        await seen.wait(lambda: seen.truth() == cluster.truth(), 2)
        fake.faults.list_status = fake.faults.watch_status = 503
        fake.drop_watches()
        await seen.wait(lambda: bool(seen.problem), 5)
        assert seen.truth() == cluster.truth()
        assert not seen.losses


async def test_retry_after_is_heeded(api: Api) -> None:
    fake, _, port = api
    fake.faults.list_status, fake.faults.retry_after = 429, 1
    async with watching(port) as (seen, _):
        await seen.wait(lambda: bool(seen.problem), 5)
        assert fake.counted.lists <= 3


async def test_410_in_both_forms_lists_again(api: Api) -> None:
    fake, cluster, port = api
    for as_event in (True, False):
        fake.faults = Faults(gone_as_event=as_event)
        async with watching(port, timings=Timings()) as (seen, source):
            cluster.add(f"peat-mesh-{as_event}", "10.0.0.2")
            await seen.wait(lambda: seen.truth() == cluster.truth(), 2)
            lists = fake.counted.lists
            fake.faults.watch_status = 503
            fake.drop_watches()
            cluster.add(f"peat-mesh-{as_event}-2", "10.0.0.3")
            fake.forget_history()
            fake.faults.watch_status = 0
            await seen.wait(lambda: seen.truth() == cluster.truth(), 2)
            assert fake.counted.lists > lists
            assert metric(source, "expired_total") >= 1
            assert 0 <= metric(source, "relist_age_seconds") < 2


async def test_a_watch_that_is_silently_stale_is_found_out_by_the_next_list(api: Api) -> None:
    fake, cluster, port = api
    cluster.add("peat-mesh-1", "10.0.0.2")
    async with watching(port) as (seen, source):
        await seen.wait(lambda: is_watching(source), 2)
        fake.faults.lose = 1.0
        cluster.add("peat-mesh-2", "10.0.0.3")
        await seen.wait(lambda: seen.truth() == cluster.truth(), 4)
        assert metric(source, "stale_watches_total") >= 1


async def test_a_silent_server_is_left_for_a_new_connection(api: Api) -> None:
    fake, cluster, port = api
    cluster.add("peat-mesh-1", "10.0.0.2")
    quiet = Timings(relist_seconds=60, watch_seconds=60, shortest_backoff=0.05, longest_backoff=0.5)
    async with watching(port, timings=quiet) as (seen, source):
        await seen.wait(lambda: is_watching(source), 2)
        fake.faults.is_silent = True
        cluster.add("peat-mesh-2", "10.0.0.3")
        watches = fake.counted.watches
        await seen.wait(lambda: bool(seen.problem), 10)
        fake.faults.is_silent = False
        await seen.wait(lambda: seen.truth() == cluster.truth(), 4)
        await seen.wait(lambda: fake.counted.watches > watches, 2)


@pytest.mark.parametrize("rng", range(4), indirect=True)
async def test_after_any_misbehaviour_the_truth_is_known_within_seconds(rng: random.Random) -> None:
    api = FakeApi(rng=rng, bookmark_seconds=0.2)
    cluster = Cluster(api.write, slice_size=rng.choice([1, 3, 100]))
    async with api.serve() as port:
        for n in range(rng.randrange(0, 60)):
            cluster.add(f"p-{n}", f"10.1.0.{n}")
        async with watching(port) as (seen, _):
            until = time.monotonic() + 4
            while time.monotonic() < until:
                api.faults = random_faults(rng)
                for _ in range(rng.randrange(1, 12)):
                    mutate(cluster, api, rng)
                    await asyncio.sleep(rng.choice([0, 0.001, 0.02]))
                await asyncio.sleep(rng.uniform(0, 0.4))
            api.faults = Faults()
            took = await seen.wait(lambda: seen.truth() == cluster.truth(), 6)
            print(f"true {took:.2f} s after the end of the trouble")
            await seen.wait(lambda: not seen.problem, 6)


def random_faults(rng: random.Random) -> Faults:
    faults = Faults(gone_as_event=rng.random() < 0.5, small_chunks=rng.random() < 0.3)
    for name in ("refuse", "cut", "double", "lose", "swap", "expire_token"):
        if rng.random() < 0.4:
            setattr(faults, name, rng.choice([0.1, 0.5, 1.0]))
    if rng.random() < 0.1:
        faults.is_silent = True
    if rng.random() < 0.1:
        faults.list_status = rng.choice([403, 410, 429, 500, 504])
    if rng.random() < 0.1:
        faults.watch_status = rng.choice([403, 410, 429, 500, 504])
    return faults


def mutate(cluster: Cluster, api: FakeApi, rng: random.Random) -> None:
    pods = list(cluster.pods)
    match rng.randrange(8):
        case 0 | 1:
            name = f"p-{rng.randrange(100)}"
            if name not in cluster.pods:
                cluster.add(name, f"10.2.{rng.randrange(256)}.{rng.randrange(256)}")
        case 2 | 3 if pods:
            cluster.remove(rng.choice(pods))
        case 4 if pods:
            cluster.change(
                rng.choice(pods), is_ready=rng.random() < 0.5, is_terminating=rng.random() < 0.5
            )
        case 5:
            cluster.move(rng)
        case 6 if rng.random() < 0.2:
            api.forget_history()
        case 7 if rng.random() < 0.3:
            api.drop_watches()
        case _:
            pass
