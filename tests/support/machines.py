"""Machines with networks of their own, joined by a switch that can part them: network namespaces, without root."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import LoggedProcess, node_environment

ENTER = ("nsenter", "-U", "-n", "--preserve-credentials", "-t")


class Machine:
    """A namespace with `eth0` at the switch, and what to put before a command that is to run there."""

    def __init__(self, switch: Switch, number: int, holder: subprocess.Popen[bytes]) -> None:
        self.prefix = (*ENTER, str(holder.pid))
        self._switch, self._port = switch, f"port{number}"
        switch.run(f"ip link add {self._port} type veth peer name eth0 netns {holder.pid}")
        self.run(
            f"ip link set lo up; ip address add 10.77.0.{number}/24 dev eth0; ip link set eth0 up"
        )
        self.plug_in()

    def run(self, script: str) -> None:
        subprocess.run([*self.prefix, "sh", "-ec", script], check=True)

    def plug_in(self) -> None:
        self._switch.run(f"ip link set {self._port} master switch up")

    def unplug(self) -> None:
        """Nothing arrives any more, and the machine does not notice: its own end stays up."""
        self._switch.run(f"ip link set {self._port} nomaster")


class Switch:
    """The namespace in the middle."""

    def __init__(self, holder: subprocess.Popen[bytes]) -> None:
        self.prefix = (*ENTER, str(holder.pid))
        self.run("ip link add switch type bridge; ip link set switch up")

    def run(self, script: str) -> None:
        subprocess.run([*self.prefix, "sh", "-ec", script], check=True)


@contextlib.contextmanager
def joined_machines(count: int) -> Iterator[list[Machine]]:
    """Machines at one switch. Skips the test where namespaces are not to be had."""
    with contextlib.ExitStack() as stack:
        switch = Switch(stack.enter_context(_held(("unshare", "-rn"))))
        yield [
            Machine(switch, n, stack.enter_context(_held((*switch.prefix, "unshare", "-n"))))
            for n in range(1, count + 1)
        ]


@contextlib.contextmanager
def _held(command: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a new namespace open."""
    holder = subprocess.Popen(
        [*command, "sh", "-c", "echo here; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"here\n":
            pytest.skip("no network namespaces here")
        yield holder
        holder.kill()


class MachineNode(LoggedProcess):
    """A node on such a machine, which finds its peers by mDNS."""

    def __init__(self, machine: Machine, name: str, directory: Path) -> None:
        super().__init__(directory.parent / f"{name}.log")
        self.machine, self.name = machine, name
        self._environment = node_environment(
            directory, HOSTNAME=name, PEAT_DISCOVERY="mdns", PEAT_QUIC_HOST="0.0.0.0"
        )

    def start(self) -> None:
        self.spawn([*self._command, "run"], self._environment)

    def ask(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the command line on its machine."""
        return subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def _command(self) -> tuple[str, ...]:
        return (*self.machine.prefix, str(Path(sys.executable).with_name("peatnode")))
