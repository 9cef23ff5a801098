"""The checks of readiness, from the reports of the workers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import DiscoveryReply, NodeReply, PeersReply, StoreReply
from peatnode.model.states import SourceStatus, WorkerStatus
from peatnode.supervision.workers import WORKERS


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One check, with a message in both cases."""

    name: str
    is_ready: bool
    message: str


def checks(
    node: NodeReply | None,
    store: StoreReply | None,
    peers: PeersReply | None,
    discovery: DiscoveryReply | None,
    is_stopping: bool,
) -> tuple[ReadinessCheck, ...]:
    """All checks in a fixed order. None: the worker did not answer."""
    node_stops = is_stopping or (node is not None and node.is_stopping)
    found = [
        ReadinessCheck(
            "running",
            not node_stops,
            "the node is stopping" if node_stops else "the node is running",
        ),
        _workers(node),
        _store(store),
        _engine(store),
        _sync(peers),
        _clock(peers),
        _discovery(discovery),
    ]
    if node is not None:
        found.extend(
            ReadinessCheck(
                f"{problem.worker}.{problem.name}",
                False,
                f"{problem.message.rstrip('.')}. {problem.advice}".rstrip(),
            )
            for problem in node.problems
            if problem.blocks_readiness
        )
    return tuple(found)


def _workers(node: NodeReply | None) -> ReadinessCheck:
    if node is None:
        return ReadinessCheck("workers", False, "the supervisor does not answer")
    states = {worker.name: worker.state for worker in node.workers}
    wrong = [
        f"{spec.name} is {states.get(spec.name, 'missing')}"
        for spec in WORKERS
        if states.get(spec.name) is not WorkerStatus.READY
    ]
    return ReadinessCheck("workers", not wrong, ", ".join(wrong) or "all workers are ready")


def _store(store: StoreReply | None) -> ReadinessCheck:
    if store is None:
        return ReadinessCheck("store", False, "the store does not answer")
    if not store.is_writable:
        return ReadinessCheck("store", False, store.problem or "the store refuses writes")
    return ReadinessCheck("store", True, "the store accepts writes")


def _engine(store: StoreReply | None) -> ReadinessCheck:
    is_ready = store is not None and store.engine_is_ready
    return ReadinessCheck(
        "engine", is_ready, "the engine answers" if is_ready else "the engine is not ready"
    )


def _sync(peers: PeersReply | None) -> ReadinessCheck:
    """A duplicate identity is reported, but the node stays ready: both nodes work."""
    if peers is None:
        return ReadinessCheck("sync", False, "the sync worker does not answer")
    twins = sorted({peer.id for peer in peers.peers if peer.is_twin})
    if not twins:
        return ReadinessCheck("sync", True, "the sync worker answers")
    return ReadinessCheck(
        "sync",
        True,
        f"this identity is used twice: {', '.join(twins)}. "
        "Give each node its own HOSTNAME, or each cluster its own PEAT_CLUSTER.",
    )


def _clock(peers: PeersReply | None) -> ReadinessCheck:
    """A clock that may be wrong is reported, but the node stays ready: all but expiries works."""
    if peers is None:
        return ReadinessCheck("clock", False, "the sync worker, which judges it, does not answer")
    effect = ": expiries are neither set nor carried out" if peers.clock.is_denied else ""
    return ReadinessCheck("clock", True, f"{peers.clock.reason}{effect}")


def _discovery(discovery: DiscoveryReply | None) -> ReadinessCheck:
    """A source that fails after it was complete does not fail the check: its peers remain known."""
    if discovery is None:
        return ReadinessCheck("discovery", False, "the discovery worker does not answer")
    waiting = [
        f"{source.name}: {source.message or source.state}"
        for source in discovery.sources
        if source.state is SourceStatus.STARTING
        or (source.state is SourceStatus.FAILING and source.age_seconds < 0)
    ]
    failing = [
        f"{source.name} fails (last complete {source.age_seconds:.0f} s ago): {source.message}"
        for source in discovery.sources
        if source.state is SourceStatus.FAILING and source.age_seconds >= 0
    ]
    if waiting:
        return ReadinessCheck("discovery", False, "; ".join(waiting))
    return ReadinessCheck("discovery", True, "; ".join(failing) or "all sources of peers work")
