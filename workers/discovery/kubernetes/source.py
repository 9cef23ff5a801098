"""Carries out the requests of the list-and-watch machine, and passes it the responses."""

from __future__ import annotations

import asyncio
import math
import os
import random

from peatnode.config import Config
from peatnode.ipc.messages import Metric
from peatnode.model.states import SourceStatus
from peatnode.texts import cleaned
from workers.discovery.kubernetes.api_client import ApiClient, CallFailed
from workers.discovery.kubernetes.list_watch import SliceWatch, Timings
from workers.discovery.kubernetes.objects import MalformedAnswer
from workers.discovery.kubernetes.service_account import ServiceAccount
from workers.discovery.kubernetes.set_watch import SetWatch
from workers.discovery.kubernetes.slice_events import (
    Action,
    CallFailure,
    CloseWatch,
    Event,
    LineReceived,
    ListFailed,
    ListSlices,
    PageListed,
    ProblemChanged,
    Tick,
    WatchEnded,
    WatchOpened,
    WatchSlices,
)
from workers.discovery.kubernetes.slice_table import Naming, SliceTable
from workers.discovery.kubernetes.slices import read_page, read_watch_line
from workers.discovery.kubernetes.stateful_set import read_pod_name
from workers.discovery.network import Adapter
from workers.discovery.sighting import SightingsChanged
from workers.discovery.source import SourceCondition, SourceReport, ThisNode

PAGE_SLICES = 50
"""Slices in one page of a list. A slice has at most 1,000 endpoints, usually 100."""

_ADVICE = {
    401: "The service account's token is not accepted: check that it is mounted and belongs to this cluster.",
    403: "Give the service account a Role with the verbs list and watch on endpointslices of "
    "discovery.k8s.io in this namespace; the chart does.",
    404: "Use Kubernetes 1.21 or newer, and check that the namespace exists.",
    429: "The API server is overloaded. Known peers are kept, and requests are retried automatically.",
}
_DEFAULT_ADVICE = (
    "Known peers are kept, and requests are retried automatically. "
    "Check the API server and network policies."
)


def open_source(config: Config, _: ThisNode, report: SourceReport) -> KubernetesSource:
    """Raises BadConfiguration outside a pod."""
    account = ServiceAccount(config.service_account_dir, os.environ)
    naming = Naming(config.cluster, own_name=config.hostname, own_namespace=account.namespace)
    namespace = config.kubernetes_namespace or account.namespace
    client = ApiClient(account)
    source = KubernetesSource(client, naming, namespace, config.kubernetes_label, report)
    if (place := read_pod_name(config.hostname)) is not None:
        source.own_set = SetWatch(client, account.namespace, place)
    return source


class KubernetesSource:
    """Lists and watches the EndpointSlices of one namespace."""

    name = "kubernetes"

    def __init__(
        self,
        client: ApiClient,
        naming: Naming,
        namespace: str,
        label: str,
        report: SourceReport,
        timings: Timings | None = None,
    ) -> None:
        self._client = client
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._label = label
        self._report = report
        self.own_set: SetWatch | None = None
        """None: the name of this pod says that it belongs to no StatefulSet."""
        self._machine = SliceWatch(SliceTable(naming), random.random, timings)
        self._problem: CallFailure | None = None
        self._failing_at = 0.0
        """Time at which the problem began, while there is one."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        try:
            async with self._group:
                if self.own_set is not None:
                    self._group.create_task(self.own_set.run())
                self._handle(Tick())
                await self._loop.create_future()  # the tasks of the group continue
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _handle(self, event: Event) -> None:
        for action in self._machine.handle(event, self._loop.time()):
            self._carry_out(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._machine.deadline) < math.inf:
            self._timer = self._loop.call_at(max(deadline, self._loop.time()), self._handle, Tick())

    def _carry_out(self, action: Action) -> None:
        match action:
            case ListSlices():
                self._group.create_task(self._list(action))
            case WatchSlices(request):
                self._watches[request] = self._group.create_task(self._watch(action))
            case CloseWatch(request):
                if (task := self._watches.pop(request, None)) is not None:
                    task.cancel()
            case SightingsChanged():
                if action.found or action.lost:
                    self._report.change(self.name, action)
            case ProblemChanged(failure):
                self._report_failure(failure)

    async def _list(self, action: ListSlices) -> None:
        query = {"labelSelector": self._label}
        if action.is_paged:
            query["limit"] = str(PAGE_SLICES)
        if action.token:
            query["continue"] = action.token
        event: Event
        try:
            page = read_page(await self._client.get(self._path, query))
        except CallFailed as error:
            event = ListFailed(action.request, _failure(error))
        except MalformedAnswer as error:
            event = ListFailed(action.request, CallFailure(0, str(error)))
        else:
            event = PageListed(action.request, page)
        self._handle(event)

    async def _watch(self, action: WatchSlices) -> None:
        query = {
            "labelSelector": self._label,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": action.resource_version,
            "timeoutSeconds": str(action.seconds),
        }
        failure = None
        try:
            async with self._client.stream(self._path, query) as batches:
                self._handle(WatchOpened(action.request))
                async for lines in batches:
                    for line in lines:
                        self._handle(LineReceived(action.request, read_watch_line(line)))
        except CallFailed as error:
            failure = _failure(error)
        except MalformedAnswer as error:
            failure = CallFailure(0, str(error))
        self._watches.pop(action.request, None)
        self._handle(WatchEnded(action.request, failure))

    def _report_failure(self, failure: CallFailure | None) -> None:
        if self._problem is None:
            self._failing_at = self._loop.time()
        self._problem = failure
        if failure is None:
            self._report.clear_problem(self.name)
            return
        self._report.raise_problem(
            self.name,
            f"The Kubernetes API cannot be queried for peers: {_describe(failure)}.",
            _ADVICE.get(failure.status, _DEFAULT_ADVICE),
        )

    async def departure(self) -> str:
        return await self.own_set.departure() if self.own_set is not None else ""

    async def close(self) -> None:
        """Does nothing."""

    def adapters_changed(self, adapters: tuple[Adapter, ...]) -> None:
        """Does nothing, because the system chooses the interface of each connection."""

    def condition(self) -> SourceCondition:
        listed_at = self._machine.counters.listed_at
        age = self._loop.time() - listed_at if listed_at > -math.inf else -1.0
        if self._problem is not None:
            failing = self._loop.time() - self._failing_at
            return SourceCondition(SourceStatus.FAILING, _describe(self._problem), age, failing)
        return SourceCondition(
            SourceStatus.WATCHING if age >= 0 else SourceStatus.STARTING, "", age
        )

    def metrics(self) -> list[Metric]:
        counters = self._machine.counters
        samples = {
            "relist_age_seconds": self.condition().age_seconds,
            "watching": float(self._machine.is_watching),
            "lists_total": counters.lists,
            "list_failures_total": counters.list_failures,
            "watches_total": counters.watches,
            "watch_failures_total": counters.watch_failures,
            "expired_total": counters.expired,
            "stale_watches_total": counters.stale_found,
        }
        return [Metric(f"peatnode_discovery_{name}", (), float(v)) for name, v in samples.items()]


MAX_REASON = 500
"""Characters of a reason of the API server that are shown."""


def _failure(error: CallFailed) -> CallFailure:
    return CallFailure(error.status, error.reason, error.retry_after)


def _describe(failure: CallFailure) -> str:
    text = cleaned(failure.reason, MAX_REASON).rstrip(".") or "without a reason"
    return f"status {failure.status}, {text}" if failure.status else text
