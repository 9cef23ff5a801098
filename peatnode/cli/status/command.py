"""`peatnode status`."""

from __future__ import annotations

import asyncio
import sys
import time

import click

from peatnode.cli.errors import cli_errors
from peatnode.cli.options import with_output, with_target
from peatnode.cli.status.diagnosis import Diagnosis, diagnose
from peatnode.cli.status.report import StatusReport
from peatnode.cli.target import LocalNode, Target
from peatnode.cli.terminal.output import say, say_json


def inspect(target: Target) -> StatusReport:
    """The report on a local node from its sockets, on a remote node from its API. Raises CliError."""
    if isinstance(target, LocalNode):
        from peatnode.cli.status.from_sockets import inspect_sockets

        return asyncio.run(inspect_sockets(target.run_dir))
    from peatnode.cli.status.from_api import inspect_api

    with cli_errors(str(target)):
        return inspect_api(target)


@click.command(
    epilog="Exit status: 0 healthy, 3 degraded, 4 unreachable, 8 the token is missing or wrong."
)
@with_target
@with_output
@click.option("--watch", "-w", is_flag=True, help="Refresh until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds between refreshes of --watch.",
)
def status(target: Target, output: str, watch: bool, interval: float) -> int:
    """Show the health of the node, its workers and its peers, and advice for each problem."""
    if watch:
        return _watch(target, output, interval)
    report = inspect(target)
    diagnosis = diagnose(report)
    _show(report, diagnosis, output)
    return diagnosis.exit_status


def _show(report: StatusReport, diagnosis: Diagnosis, output: str) -> None:
    if output == "json":
        from peatnode.cli.status.as_json import status_json

        indent = None if not sys.stdout.isatty() else 2
        say_json(status_json(report, diagnosis), indent=indent)
        return
    from peatnode.cli.status.as_tables import status_page
    from peatnode.cli.terminal.screen import open_screen, show

    screen = open_screen()
    show(status_page(report, diagnosis, screen.width), screen)


def _watch(target: Target, output: str, interval: float) -> int:
    """Redraws the page on a terminal. Elsewhere reports follow each other; each JSON report is a line."""
    if output == "json" or not sys.stdout.isatty():
        while True:
            report = inspect(target)
            diagnosis = diagnose(report)
            try:
                _show(report, diagnosis, output)
                time.sleep(interval)
            except KeyboardInterrupt:
                return diagnosis.exit_status
            if output == "text":
                say("")
    return _redraw(target, interval)


def _redraw(target: Target, interval: float) -> int:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from peatnode.cli.status.as_tables import status_page
    from peatnode.cli.terminal.screen import open_screen

    report = inspect(target)
    diagnosis = diagnose(report)
    screen = open_screen()
    with Live(console=screen, auto_refresh=False, screen=True) as live:
        try:
            while True:
                at = time.strftime("%H:%M:%S", time.localtime(report.taken_at))
                footer = Text(f"\n{at}, every {interval:g} s, Ctrl-C to stop", style="dim")
                live.update(
                    Group(status_page(report, diagnosis, screen.width), footer), refresh=True
                )
                time.sleep(interval)
                report = inspect(target)
                diagnosis = diagnose(report)
        except KeyboardInterrupt:
            return diagnosis.exit_status
