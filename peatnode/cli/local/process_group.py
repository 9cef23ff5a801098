"""Runs the nodes of `peatnode mesh` as child processes, prefixes their output, and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from peatnode.cli.exits import Exit
from peatnode.cli.local.plan import FIRST_NAME, NodePlan
from peatnode.cli.terminal.program import program
from peatnode.config import run_dir_choices
from peatnode.errors import LinkError
from peatnode.ipc.link import Link
from peatnode.ipc.messages import GetNode
from peatnode.model.states import WorkerStatus
from peatnode.texts import one_line

STOP_SECONDS = 12.0
"""For one node to stop; its supervisor needs at most 10."""

POLL_SECONDS = 0.2
"""Between two checks of readiness."""

MAX_LINE_BYTES = 64 * 1024

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """Runs in the child process: a node must not outlive a mesh that was killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class NodeProcess:
    """A node that runs, and the colour of its output."""

    plan: NodePlan
    process: asyncio.subprocess.Process
    colour: str


class LocalMesh:
    """Runs the nodes until all of them have exited."""

    def __init__(self, plans: tuple[NodePlan, ...], env: Mapping[str, str], restart: str) -> None:
        self._plans = plans
        self._env = env
        self._restart = restart
        """The command that restarts a node, without the number of the node."""
        self._nodes: list[NodeProcess] = []
        self._signals = 0
        self._stopping = asyncio.Event()
        self._width = max(len(plan.name) for plan in plans)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        for index, plan in enumerate(self._plans):
            self._nodes.append(await self._start(plan, COLOURS[index % len(COLOURS)]))
        watchers = [asyncio.create_task(self._watch_node(node)) for node in self._nodes]
        ready = asyncio.create_task(self._announce_ready())
        stopper = asyncio.create_task(self._stop_in_order())
        try:
            await asyncio.gather(*watchers)
        finally:
            for task in (ready, stopper):
                task.cancel()
            await asyncio.gather(ready, stopper, return_exceptions=True)
        if self._signals:
            self._print("All nodes have stopped.")
            return Exit.OK
        self._print("All nodes have exited.")
        return Exit.FAILED

    async def _start(self, plan: NodePlan, colour: str) -> NodeProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "peatnode.cli",
            "run",
            env=plan.environment(self._env, is_one_of_many=True),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the nodes in order
            preexec_fn=_die_with_parent,
        )
        return NodeProcess(plan, process, colour)

    async def _watch_node(self, node: NodeProcess) -> None:
        """Prints the output of the node until it exits, then the reason of the exit."""
        assert node.process.stdout is not None
        await self._print_lines(node, node.process.stdout)
        status = await node.process.wait()
        if self._signals:
            self._print(f"{node.plan.name} has stopped{_exit_reason(status, '')}.")
            return
        number = node.plan.name.removeprefix(FIRST_NAME)
        others = "; the other nodes keep running" if self._running() else ""
        self._print(
            f"{node.plan.name} exited{_exit_reason(status, ' with status 0')}{others}. "
            f"To restart it: {self._restart} {number}"
        )

    async def _print_lines(self, node: NodeProcess, stream: asyncio.StreamReader) -> None:
        prefix = click.style(f"{node.plan.name:<{self._width}} |", fg=node.colour) + " "
        rest = b""
        while chunk := await stream.read(MAX_LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                click.echo(prefix + one_line(line.decode(errors="replace")))
        if rest:
            click.echo(prefix + one_line(rest.decode(errors="replace")))

    async def _announce_ready(self) -> None:
        await asyncio.gather(*(_wait_ready(node) for node in self._nodes))
        if not self._signals:
            url = self._nodes[0].plan.url
            self._print(
                f"All {len(self._nodes)} nodes are ready. Ctrl-C stops them. Try:\n"
                f'  {program()} doc put notes today \'{{"text": "hello"}}\' --url {url}\n'
                f"  {program()} doc get notes today --url {self._nodes[-1].plan.url}\n"
                f"  {program()} status --url {url}"
            )

    def _on_signal(self) -> None:
        self._signals += 1
        self._stopping.set()
        if self._signals > 1:
            for node in self._running():
                _signal(node, signal.SIGTERM)

    async def _stop_in_order(self) -> None:
        await self._stopping.wait()
        self._print("Stopping the nodes, the last one first. Ctrl-C again stops them all at once.")
        for node in reversed(self._running()):
            _signal(node, signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await node.process.wait()
            except TimeoutError:
                self._print(
                    f"{node.plan.name} did not stop within {STOP_SECONDS:g} s and was killed."
                )
                _signal(node, signal.SIGKILL)

    def _running(self) -> list[NodeProcess]:
        return [node for node in self._nodes if node.process.returncode is None]

    def _print(self, text: str) -> None:
        click.echo(click.style(text, bold=True))


async def _wait_ready(node: NodeProcess) -> None:
    """Returns when every worker of the node is ready."""
    while not await _is_ready(node):  # noqa: ASYNC110  # the state is in another process
        await asyncio.sleep(POLL_SECONDS)


async def _is_ready(node: NodeProcess) -> bool:
    for run_dir in run_dir_choices(node.plan.data_dir.absolute()):
        try:
            async with await Link.connect(run_dir / "supervisor.sock", "cli") as link:
                reply = await link.ask(GetNode(), 2.0)
        except LinkError:
            continue
        if reply.pid == node.process.pid:  # not an earlier node of this directory
            return all(worker.state is WorkerStatus.READY for worker in reply.workers)
    return False


def _signal(node: NodeProcess, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(node.process.pid, number)


def _exit_reason(status: int, success: str) -> str:
    """A phrase for the exit status. `success`: the phrase for status 0."""
    if status == 0:
        return success
    if status < 0:
        return f" (killed by {signal.Signals(-status).name})"
    return f" with status {status}"
