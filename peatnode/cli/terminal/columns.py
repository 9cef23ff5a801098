"""Tables of text that fit the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from peatnode.texts import one_line

NARROW_COLUMNS = 72
"""A narrower terminal shows only the most important columns."""

RIGHT_ALIGNED = frozenset({"pid", "restarts", "memory", "RTT", "peers", "documents"})

Cell = str | Text


def column_table(rows: Sequence[Sequence[Cell]], is_narrow: bool, kept: Sequence[int]) -> Table:
    """A table whose first row is the header. A narrow terminal shows only the columns `kept`."""
    shown = kept if is_narrow else range(len(rows[0]))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in shown:
        name = str(rows[0][column])
        is_number = name in RIGHT_ALIGNED
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=is_number or column == 0,
            overflow="ellipsis" if column == 0 else "fold",
        )
    for row in rows[1:]:
        # a Text, because rich would read [::1]:11204 as markup
        table.add_row(
            *(Text(one_line(cell)) if isinstance(cell := row[i], str) else cell for i in shown)
        )
    return table
