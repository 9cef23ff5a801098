"""A report as a page for people: tables that fit the terminal, with colours only on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peatnode.api.findings.finding import Severity
from peatnode.cli.peers.table import first_peers, peers_table
from peatnode.cli.status.diagnosis import Diagnosis, Health
from peatnode.cli.status.report import StatusReport
from peatnode.cli.terminal.columns import NARROW_COLUMNS, Cell, column_table
from peatnode.cli.terminal.numbers import size
from peatnode.model.amounts import first_names, plural, span
from peatnode.model.states import SourceStatus, WorkerStatus
from peatnode.texts import one_line

HEALTH_STYLE = {Health.HEALTHY: "green", Health.DEGRADED: "yellow", Health.UNREACHABLE: "red"}
SEVERITY_STYLE: dict[str, str] = {
    Severity.ERROR: "red",
    Severity.DEGRADED: "yellow",
    Severity.NOTICE: "dim",
}


def status_page(report: StatusReport, diagnosis: Diagnosis, columns: int) -> RenderableType:
    """The whole page. `columns`: the width of the terminal."""
    is_narrow = columns < NARROW_COLUMNS
    parts: list[RenderableType] = [_headline(report, diagnosis), _facts(report)]
    for table in (_workers(report, is_narrow), _peers(report, columns), _sources(report)):
        if table is not None:
            parts += [Text(), table]
    if diagnosis.findings:
        parts += [Text(), *_findings(diagnosis)]
    return Group(*parts)


def _headline(report: StatusReport, diagnosis: Diagnosis) -> Text:
    line = Text()
    line.append(report.node.node_id if report.node else "node", style="bold")
    line.append("  ")
    line.append(str(diagnosis.health), style=f"bold {HEALTH_STYLE[diagnosis.health]}")
    if report.node:
        line.append(f"  up {span(report.node.uptime_secs)}")
    return line


def _facts(report: StatusReport) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")

    def add(name: str, text: str) -> None:
        grid.add_row(name, Text(one_line(text)))

    if node := report.node:
        cluster = f", cluster {node.cluster}" if node.cluster else ""
        pid = f", pid {node.pid}" if node.pid else ""
        add("version", f"{node.version}{pid}{cluster}")
        if node.broker_address:
            add("listens", f"API {node.broker_address}, QUIC {node.quic_port}/udp")
        add("device", node.device_id)
        if node.endpoint_id:
            add("endpoint", node.endpoint_id)
        if node.data_dir:
            add("data", node.data_dir)
    if store := report.store:
        add(
            "documents",
            f"{store.documents:,}, {plural(store.tombstones, 'tombstone')}, change {store.sequence:,}",
        )
        if store.disk_bytes or store.disk_free_bytes:
            add("disk", f"{size(store.disk_bytes)} used, {size(store.disk_free_bytes)} free")
        add("root", store.root)
    if report.differing:
        add("differing", first_names(report.differing))
    return grid


def _workers(report: StatusReport, is_narrow: bool) -> Table | None:
    if report.workers is None:
        return None
    rows: list[Sequence[Cell]] = [("WORKER", "state", "pid", "restarts", "memory", "up")]
    if report.node and report.node.pid:
        rows.append(
            (
                "supervisor",
                "stopping" if report.node.is_stopping else "ready",
                str(report.node.pid),
                "",
                size(report.node.supervisor_memory_bytes),
                span(report.node.uptime_secs),
            )
        )
    for worker in report.workers:
        rows.append(
            (
                worker.name,
                Text(worker.state, style="" if worker.state == WorkerStatus.READY else "red"),
                str(worker.pid) if worker.pid else "–",
                Text(str(worker.restarts), style="yellow" if worker.restarts else ""),
                size(worker.memory_bytes) if worker.memory_bytes else "–",
                span(worker.uptime_secs) if worker.uptime_secs else "–",
            )
        )
    return column_table(rows, is_narrow, kept=(0, 1, 3, 4))


def _peers(report: StatusReport, columns: int) -> RenderableType | None:
    """The peers, or None if they are not known."""
    if report.peers is None:
        return None
    documents = None if report.store is None else report.store.documents
    shown = first_peers(report.peers)
    table = peers_table(shown, documents, report.taken_at, columns)
    if not (left_out := len(report.peers) - len(shown)):
        return table
    rest = f"and {plural(left_out, 'more peer')}: `peatnode peers` lists them all"
    return Group(table, Text(rest, style="dim"))


def _sources(report: StatusReport) -> Table | None:
    if not report.sources:
        return None
    rows: list[Sequence[Cell]] = [("DISCOVERY", "state", "peers", "complete", "")]
    for source in report.sources:
        rows.append(
            (
                source.name,
                Text(source.state, style="red" if source.state == SourceStatus.FAILING else ""),
                str(source.peers),
                f"{span(source.age_secs)} ago" if source.age_secs is not None else "–",
                source.message,
            )
        )
    return column_table(rows, is_narrow=False, kept=())


def _findings(diagnosis: Diagnosis) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in diagnosis.findings:
        text = Text(one_line(finding.message))
        if finding.advice:
            text.append(f"\n{one_line(finding.advice)}", style="dim")
        grid.add_row(Text(finding.severity, style=SEVERITY_STYLE.get(finding.severity, "")), text)
    return [grid]
