"""The supervisor's answer to GetNode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from peatnode import __version__
from peatnode.config import Config
from peatnode.identity import Identity
from peatnode.ipc.messages import NodeReply, ProblemRaised, WorkerProblem, WorkerState
from peatnode.supervision.children import Child
from peatnode.supervision.policy import Policy
from peatnode.worker.wall_clock import WallTimes, read_steady


@dataclass(slots=True)
class ProblemRegister:
    """The problems that workers have raised and not cleared, by worker and name of the problem."""

    _known: dict[tuple[str, str], WorkerProblem] = field(default_factory=dict)
    """`since` is a time of the steady clock."""

    def raised(self, worker: str, problem: ProblemRaised) -> bool:
        """Records the problem. Returns whether it is new or its message has changed."""
        key = (worker, problem.name)
        before = self._known.get(key)
        since = before.since if before is not None else read_steady()
        self._known[key] = WorkerProblem(
            worker, problem.name, problem.message, problem.advice, problem.blocks_readiness, since
        )
        return before is None or before.message != problem.message

    def cleared(self, worker: str, name: str) -> bool:
        return self._known.pop((worker, name), None) is not None

    def forget(self, worker: str) -> None:
        """Removes the problems of a worker that has exited.
        Its successor raises them again if they persist."""
        for key in [key for key in self._known if key[0] == worker]:
            del self._known[key]

    def of(self, worker: str, name: str) -> WorkerProblem | None:
        return self._known.get((worker, name))

    def all(self, times: WallTimes) -> Iterable[WorkerProblem]:
        return [replace(known, since=times.unix(known.since)) for known in self._known.values()]


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """The properties of a node that do not change while it runs."""

    config: Config
    identity: Identity
    instance: str
    pid: int
    started_at: float
    """Of the steady clock."""
    broker_address: str
    quic_port: int


def describe_node(
    facts: NodeDescription,
    policy: Policy,
    children: Mapping[str, Child],
    problems: ProblemRegister,
    memory_bytes: int,
    times: WallTimes,
) -> NodeReply:
    """The answer to GetNode."""
    config = facts.config
    return NodeReply(
        node_id=config.node_id,
        cluster=config.cluster,
        instance=facts.instance,
        device_id=facts.identity.device_id,
        endpoint_id=facts.identity.endpoint_id,
        version=__version__,
        pid=facts.pid,
        started_at=times.unix(facts.started_at),
        uptime_seconds=read_steady() - facts.started_at,
        data_dir=str(config.data_dir),
        broker_address=facts.broker_address,
        quic_port=facts.quic_port,
        discovery=config.discovery,
        has_token=config.api_token is not None,
        is_stopping=policy.is_stopping,
        supervisor_memory_bytes=memory_bytes,
        workers=tuple(_worker_state(name, policy, children, times) for name in policy.workers),
        problems=tuple(problems.all(times)),
    )


def _worker_state(
    name: str, policy: Policy, children: Mapping[str, Child], times: WallTimes
) -> WorkerState:
    worker, child = policy.workers[name], children.get(name)
    return WorkerState(
        name=name,
        state=worker.state,
        pid=worker.pid,
        restarts=worker.restarts,
        recycles=worker.recycles,
        memory_bytes=child.memory_bytes if child else 0,
        stall_seconds=child.stall_seconds if child else 0.0,
        started_at=times.unix(child.started_at) if child else 0.0,
        last_exit=worker.last_exit,
    )
