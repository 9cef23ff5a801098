"""The checks of readiness: whether this node can serve reads and writes. No I/O.

What a node cannot find or reach (peers, sources of discovery, the right time) is a finding, not a check: a node
that is cut off serves what it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import NodeReply, StoreReply
from peatnode.model.states import WorkerStatus
from peatnode.supervision.workers import WORKERS


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One check, with a message in both cases."""

    name: str
    is_ready: bool
    message: str


def checks(
    node: NodeReply | None, store: StoreReply | None, is_stopping: bool
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
