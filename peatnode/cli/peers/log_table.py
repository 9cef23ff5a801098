"""The log of peers as lines for people, with local times."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from peatnode.cli.terminal.columns import NARROW_COLUMNS, Cell, column_table
from peatnode.client.models import PeerLogEntry
from peatnode.model.members import PeerEventKind
from peatnode.texts import one_line

STYLES = {
    PeerEventKind.CONNECTED: "green",
    PeerEventKind.EQUAL: "green",
    PeerEventKind.FAILED: "yellow",
    PeerEventKind.REFUSED: "yellow",
    PeerEventKind.DISCONNECTED: "yellow",
    PeerEventKind.DIFFERENT: "",
    PeerEventKind.LEFT: "dim",
    PeerEventKind.FORGOTTEN: "dim",
    PeerEventKind.BLOCKED: "yellow",
    PeerEventKind.UNBLOCKED: "",
    PeerEventKind.PAUSED: "yellow",
    PeerEventKind.ALLOWED: "",
}


def peer_log_table(entries: Sequence[PeerLogEntry], columns: int) -> RenderableType:
    """One row for each event, the oldest first. A narrow terminal shows the date without its year."""
    if not entries:
        return Text("Nothing has happened yet.", style="dim")
    is_narrow = columns < NARROW_COLUMNS
    form = "%m-%d %H:%M:%S" if is_narrow else "%Y-%m-%d %H:%M:%S"
    rows: list[Sequence[Cell]] = [("TIME", "peer", "event", "detail")]
    for entry in entries:
        rows.append(
            (
                time.strftime(form, time.localtime(entry.time)),
                entry.peer,
                _kind_text(entry.kind),
                entry.detail,
            )
        )
    return column_table(rows, is_narrow, kept=(0, 1, 2, 3))


def _kind_text(kind: str) -> Text:
    """A newer node may have other kinds."""
    style = STYLES[PeerEventKind(kind)] if kind in set(PeerEventKind) else ""
    return Text(one_line(kind), style=style)
