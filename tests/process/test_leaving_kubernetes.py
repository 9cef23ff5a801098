"""Whether a pod leaves for good, asked of an API server that behaves like the real one at its worst."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.support.kubernetes_api.account import Account
from tests.support.kubernetes_api.cluster import Cluster, make_set
from tests.support.kubernetes_api.server import FakeApi, Faults
from tests.support.waiting import until
from workers.discovery.kubernetes.api_client import ApiClient
from workers.discovery.kubernetes.set_watch import ASK_SECONDS, SetWatch
from workers.discovery.kubernetes.stateful_set import PodPlace


@contextlib.asynccontextmanager
async def watching(port: int, ordinal: int) -> AsyncIterator[SetWatch]:
    client = ApiClient(Account(port))
    watch = SetWatch(client, "mesh", PodPlace("peat-mesh", ordinal))
    task = asyncio.create_task(watch.run())
    try:
        yield watch
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


Api = tuple[FakeApi, Cluster, int]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    fake = FakeApi()
    cluster = Cluster(fake.write)
    cluster.scale(3)
    async with fake.serve() as port:
        yield fake, cluster, port


async def asked(watch: SetWatch) -> str:
    """The answer, which comes in time whatever the server does."""
    began = asyncio.get_running_loop().time()
    reason = await watch.departure()
    assert asyncio.get_running_loop().time() - began < ASK_SECONDS + 0.5
    return reason


async def test_scaled_down_is_for_good_and_back_up_is_not(api: Api) -> None:
    fake, cluster, port = api
    async with watching(port, 2) as watch:
        await until(lambda: fake.counted.set_watches == 1)
        assert await asked(watch) == ""
        cluster.scale(2)
        assert await asked(watch) == "the StatefulSet peat-mesh is scaled to 2"
        cluster.scale(3)
        assert await asked(watch) == ""


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_what_was_seen_last_counts_when_the_permission_goes_with_the_set(
    api: Api, status: int
) -> None:
    # `helm uninstall` deletes the RoleBinding right after the StatefulSet.
    fake, _, port = api
    async with watching(port, 0) as watch:
        await until(lambda: fake.counted.set_watches == 1)
        fake.write("peat-mesh", None)
        fake.faults.set_status = status
        await until(lambda: watch.known_reason != "")
        assert await asked(watch) == "the StatefulSet peat-mesh is deleted"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(set_status=403),
        Faults(set_status=500),
        Faults(set_seconds=60.0),
        Faults(is_silent=True),
        Faults(refuse=1.0),
    ],
    ids=["forbidden", "error", "slow", "silent", "unsteady"],
)
async def test_an_error_is_no_departure(api: Api, faults: Faults) -> None:
    fake, cluster, port = api
    fake.faults = faults
    cluster.scale(0)
    async with watching(port, 2) as watch:
        assert await asked(watch) == ""


async def test_a_server_that_is_away_is_no_departure(api: Api) -> None:
    fake = FakeApi()
    async with fake.serve() as port:
        pass
    async with watching(port, 2) as watch:
        assert await asked(watch) == ""


async def test_a_set_that_was_never_seen_is_not_gone(api: Api) -> None:
    # A pod whose name ends with a number by chance.
    fake, _, port = api
    fake.write("peat-mesh", None)
    async with watching(port, 2) as watch:
        await until(lambda: fake.counted.set_reads >= 1)
        assert await asked(watch) == ""


async def test_a_set_that_is_deleted_in_the_foreground_or_made_anew(api: Api) -> None:
    fake, cluster, port = api
    async with watching(port, 0) as watch:
        await until(lambda: fake.counted.set_watches == 1)
        going = make_set("peat-mesh", 3)
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        fake.write("peat-mesh", going)
        assert await asked(watch) == "the StatefulSet peat-mesh is deleted"
        fake.write("peat-mesh", None)
        assert await asked(watch) == "the StatefulSet peat-mesh is deleted"
        cluster.scale(3)  # as after `kubectl delete --cascade=orphan` and a second apply
        assert await asked(watch) == ""


async def test_a_set_that_has_not_changed_for_long_is_watched(api: Api) -> None:
    # Its own resourceVersion is too old to watch from: etcd is compacted every 5 minutes.
    fake, cluster, port = api
    fake.forget_history()
    fake.write("another", make_set("another", 1))
    fake.forget_history()
    async with watching(port, 2) as watch:
        await until(lambda: fake.counted.set_watches == 1)
        fake.faults.set_status = 403
        cluster.scale(2)
        await until(lambda: watch.known_reason != "", 5)


async def test_a_broken_watch_is_opened_again(api: Api) -> None:
    fake, cluster, port = api
    async with watching(port, 2) as watch:
        await until(lambda: fake.counted.set_watches == 1)
        fake.forget_history()
        fake.drop_watches()
        await until(lambda: fake.counted.set_watches == 2, 10)
        fake.faults.set_status = 403
        cluster.scale(1)
        await until(lambda: watch.known_reason != "")
        assert await asked(watch) == "the StatefulSet peat-mesh is scaled to 1"
