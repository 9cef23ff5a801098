"""The supervisor process: one thread that waits in `poll` and carries out the actions of the policy.

It binds the sockets, forks the workers and answers supervisor.sock. It has no data of its own.
"""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from peatnode import __version__, logs
from peatnode.config import Config
from peatnode.errors import EXIT_CONFIGURATION, BadConfiguration, MalformedFrame
from peatnode.identity import SEED_BYTES, derive_identity, instance_of, instance_private_key
from peatnode.ipc.frames import decode_content
from peatnode.ipc.messages import (
    Hello,
    Message,
    NodeReply,
    Ping,
    Pong,
    ProblemCleared,
    ProblemRaised,
    RecycleMe,
    StopWorker,
    WorkerReady,
)
from peatnode.model.peers import Address
from peatnode.supervision.children import Child, WorkerSpawner
from peatnode.supervision.clients import SupervisorClients
from peatnode.supervision.directories import lock_data_dir, settle_run_dir
from peatnode.supervision.events import (
    Action,
    AnnounceDeath,
    AnnounceReady,
    AnnounceRecycling,
    AnnounceStop,
    DeadlinePassed,
    EndNode,
    Event,
    KillWorker,
    NodeStarted,
    PingWorker,
    PongReceived,
    RecycleRequested,
    RequestStop,
    StartWorker,
    StopRequested,
    WorkerExited,
    WorkerServing,
    WorkerStarted,
)
from peatnode.supervision.node_report import NodeDescription, ProblemRegister, describe_node
from peatnode.supervision.policy import EXIT_FAILED, Policy, RestartLimits
from peatnode.supervision.sockets import bind_all, remove_unix_sockets
from peatnode.supervision.workers import WORKERS, WorkerSpec
from peatnode.worker.memory import MemoryGauge, memory_bytes
from peatnode.worker.wall_clock import WallTimes, read_steady

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_node(
    config: Config, workers: Sequence[WorkerSpec] = WORKERS, limits: RestartLimits | None = None
) -> int:
    """Runs a node until it is stopped. Returns the exit status;
    unless it is 0, the reason is printed to stderr."""
    logs.configure(config.log_filter, config.log_format, "supervisor")
    try:
        return _run_node(config, workers, limits or RestartLimits())
    except BadConfiguration as error:
        _report_failure(config, EXIT_CONFIGURATION, str(error))
        return EXIT_CONFIGURATION


def _run_node(config: Config, workers: Sequence[WorkerSpec], limits: RestartLimits) -> int:
    if sys.platform != "linux":
        raise BadConfiguration(
            f"peatnode needs Linux, but this is {sys.platform}: run it in a container or a virtual machine."
        )
    lock = lock_data_dir(config.data_dir)
    try:
        config = replace(config, run_dir=settle_run_dir(config))
        status = Supervisor(config, bind_all(config), workers, limits, lock).run()
        remove_unix_sockets(config.run_dir)
        return status
    finally:
        os.close(lock)


def _report_failure(config: Config, status: int, reason: str) -> None:
    """Writes one line to stderr, in the format of the log."""
    if config.log_format == "json":
        logs.get_logger("supervisor").error("Node failed", reason=reason, status=status)
    else:
        with contextlib.suppress(OSError):  # stderr is closed
            print(f"peatnode: {reason}", file=sys.stderr, flush=True)


def _preload() -> None:
    """Imports the modules that all workers need, so that they share their memory.
    None of them starts a thread."""
    gc.disable()  # imports produce little garbage, and its collection would take a sixth of their time
    import asyncio
    import json
    import ssl

    import msgpack
    import orjson
    import uvloop

    from peatnode.ipc import link
    from peatnode.worker import run

    del asyncio, json, ssl, msgpack, orjson, uvloop, link, run
    gc.freeze()
    gc.enable()


class Supervisor:
    """The supervisor of one node: `run` carries out the actions of its Policy
    until all workers have exited."""

    def __init__(
        self,
        config: Config,
        sockets: dict[str, socket.socket],
        workers: Sequence[WorkerSpec],
        limits: RestartLimits,
        lock: int,
    ) -> None:
        self._log = logs.get_logger("supervisor")
        self._quota = logs.LogQuota(self._log, time.monotonic)
        self._sockets = sockets
        self._lock = lock
        self._policy = Policy({spec.name: spec.turn for spec in workers}, limits)
        self._specs = {spec.name: spec for spec in workers}
        self._children: dict[str, Child] = {}
        self._problems = ProblemRegister()
        self._times = WallTimes()
        self._memory = MemoryGauge(memory_bytes)
        self._poll = select.poll()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._status: int | None = None
        self._closed_controls: set[int] = set()
        """Descriptors of control links that their worker has closed."""
        seed = secrets.token_bytes(SEED_BYTES)
        instance_key = instance_private_key(seed).public_key().public_bytes_raw()
        host, port = sockets["http"].getsockname()[:2]
        self._facts = NodeDescription(
            config=config,
            identity=derive_identity(config.secret.reveal(), config.node_id),
            instance=instance_of(instance_key).hex(),
            pid=os.getpid(),
            started_at=read_steady(),
            broker_address=str(Address(host, port)),
            quic_port=sockets["quic"].getsockname()[1],
        )
        self._clients = SupervisorClients(sockets["supervisor"], self._poll, self._describe)
        worker_sockets = {name: sock for name, sock in sockets.items() if name != "supervisor"}
        self._spawner = WorkerSpawner(
            config,
            self._facts.instance,
            seed,
            worker_sockets,
            self._close_in_child,
        )

    def run(self) -> int:
        """Runs until all workers have exited. Returns the exit status."""
        self._watch_signals()
        self._poll.register(self._sockets["supervisor"], select.POLLIN)
        _preload()
        self._announce_start()
        try:
            self._handle_event(NodeStarted())
            while self._status is None:
                self._poll_once()
        finally:
            signal.set_wakeup_fd(-1)
            for child in self._children.values():
                child.kill()
            self._clients.close()
            for sock in self._sockets.values():
                sock.close()
        return self._status

    def _announce_start(self) -> None:
        facts = self._facts
        self._log.info(
            "Mesh started",
            node_id=facts.identity.node_id,
            device_id=facts.identity.device_id,
            endpoint_id=facts.identity.endpoint_id,
            instance=facts.instance,
            version=__version__,
            pid=facts.pid,
        )
        config = facts.config
        if config.api_token is None and not ipaddress.ip_address(config.broker_host).is_loopback:
            self._raise_problem(
                "supervisor",
                ProblemRaised(
                    "open_api",
                    f"The API listens on {facts.broker_address} and requires no token.",
                    "Set PEAT_API_TOKEN_FILE, or PEAT_BROKER_HOST=127.0.0.1.",
                    blocks_readiness=False,
                ),
            )
        if config.relay_urls:
            self._log.warning("Relays are not used yet", relay_urls=list(config.relay_urls))

    def _watch_signals(self) -> None:
        for sock in (self._wake_reader, self._wake_writer):
            sock.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._poll.register(self._wake_reader, select.POLLIN)

    def _poll_once(self) -> None:
        """Waits for the next event or the deadline of the policy, and handles it."""
        due = self._policy.deadline()
        wait = None if due is None else max(0.0, due - time.monotonic()) * 1000 + 1
        for descriptor, _ in self._poll.poll(wait):
            self._handle_readable(descriptor)
        if due is not None and time.monotonic() >= due:
            self._handle_event(DeadlinePassed())

    def _handle_readable(self, descriptor: int) -> None:
        if descriptor == self._wake_reader.fileno():
            self._handle_signals()
        elif descriptor == self._sockets["supervisor"].fileno():
            self._clients.accept()
        elif descriptor in self._clients:
            self._clients.serve(descriptor)
        else:
            self._handle_child(descriptor)

    def _handle_child(self, descriptor: int) -> None:
        for child in list(self._children.values()):
            if descriptor == child.pidfd:
                self._read_control(child)  # its last messages
                self._handle_exit(child)
            elif descriptor == child.control.fileno():
                self._read_control(child)

    def _handle_signals(self) -> None:
        for number in self._wake_reader.recv(64):
            if number in _STOP_SIGNALS:
                self._log.info("Signal received", signal=signal.Signals(number).name)
                self._handle_event(StopRequested())

    def _handle_event(self, event: Event) -> None:
        for action in self._policy.handle(event, time.monotonic()):
            self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        match action:
            case StartWorker(name):
                self._start(name)
            case PingWorker(name, number):
                self._children[name].send(Ping(number))
            case RequestStop(name, seconds):
                self._children[name].send(StopWorker(seconds))
            case KillWorker(name, reason):
                self._log.warning("Killing worker", worker_name=name, reason=reason)
                self._children[name].kill()
            case AnnounceReady():
                took = round(read_steady() - self._facts.started_at, 3)
                self._log.info("Node ready", api=self._facts.broker_address, seconds=took)
            case AnnounceDeath(name, last_exit, seconds):
                self._log.warning(
                    "Worker died", worker_name=name, how=last_exit, restart_in=seconds
                )
            case AnnounceRecycling(name, reason):
                self._log.info("Recycling worker", worker_name=name, reason=reason)
            case AnnounceStop(reason):
                self._log.info("Stopping", reason=reason)
            case EndNode(status, reason):
                self._end(status, reason)

    def _end(self, status: int, reason: str) -> None:
        if status:
            _report_failure(self._facts.config, status, reason)
        else:
            self._log.info("Stopped")
        self._status = status

    def _start(self, name: str) -> None:
        try:
            child = self._spawner.fork(self._specs[name])
        except OSError as error:
            self._log.error("Worker cannot be started", worker_name=name, error=str(error))
            self._handle_event(WorkerExited(name, EXIT_FAILED, ""))
            return
        self._children[name] = child
        self._poll.register(child.pidfd, select.POLLIN)
        self._poll.register(child.control, select.POLLIN)
        self._handle_event(WorkerStarted(name, child.pid))

    def _handle_exit(self, child: Child) -> None:
        status = child.exit_status()
        if status is None:
            return  # the descriptor belonged to another process when `poll` reported it
        self._poll.unregister(child.pidfd)
        self._close_control(child)
        self._closed_controls.discard(child.control.fileno())
        del self._children[child.name]
        configuration = self._problems.of(child.name, "configuration")
        configuration_error = configuration.message if configuration is not None else ""
        self._problems.forget(child.name)
        child.close()
        self._handle_event(WorkerExited(child.name, status, configuration_error))

    def _close_control(self, child: Child) -> None:
        descriptor = child.control.fileno()
        if descriptor not in self._closed_controls:
            self._closed_controls.add(descriptor)
            self._poll.unregister(descriptor)

    def _read_control(self, child: Child) -> None:
        """Reads the messages of a worker. Kills a worker that sends a malformed frame."""
        try:
            data = child.control.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # it exited before it had read all messages
            data = b""
        try:
            for content in child.frames.receive_data(data):
                self._receive_message(child, decode_content(content)[1])
        except MalformedFrame as error:
            self._log.error(
                "Worker sent a malformed frame", worker_name=child.name, error=str(error)
            )
            child.kill()
            return
        if not data:
            self._close_control(child)

    def _receive_message(self, child: Child, message: Message) -> None:
        match message:
            case Hello() | Ping():
                pass
            case Pong():
                child.memory_bytes = message.memory_bytes
                child.stall_seconds = message.stall_seconds
                self._handle_event(PongReceived(child.name, message.number, message.turned))
            case WorkerReady():
                self._handle_event(WorkerServing(child.name))
            case ProblemRaised():
                self._raise_problem(child.name, message)
            case ProblemCleared(name):
                if self._problems.cleared(child.name, name):
                    self._quota.info(
                        "Problem cleared", (name, ""), worker_name=child.name, problem=name
                    )
            case RecycleMe(reason):
                self._handle_event(RecycleRequested(child.name, reason))

    def _raise_problem(self, worker: str, problem: ProblemRaised) -> None:
        if self._problems.raised(worker, problem):
            self._quota.warning(
                problem.message,
                (problem.name, ""),
                worker_name=worker,
                problem=problem.name,
                advice=problem.advice,
            )

    def _describe(self) -> NodeReply:
        return describe_node(
            self._facts,
            self._policy,
            self._children,
            self._problems,
            self._memory.read(),
            self._times,
        )

    def _close_in_child(self) -> None:
        self._clients.close()
        self._sockets["supervisor"].close()
        self._wake_reader.close()
        self._wake_writer.close()
        os.close(self._lock)
        for child in self._children.values():
            child.control.close()
            os.close(child.pidfd)
