"""A progress bar on stderr if that is a terminal, and a line of totals at the end in any case."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from peatnode.cli.terminal.output import say
from peatnode.model.amounts import plural

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class ProgressBar:
    """Shows the progress of an import or export, in documents or bytes."""

    def __init__(self, verb: str, unit_is_bytes: bool = False) -> None:
        self._verb = verb
        self._unit_is_bytes = unit_is_bytes
        self._started = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            amount = DownloadColumn() if self._unit_is_bytes else MofNCompleteColumn()
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                amount,
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self._verb, total=None)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, total: int | None) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def finish(self, documents: int, rest: str) -> None:
        if self._bar is not None:
            self._bar.stop()
        seconds = max(time.monotonic() - self._started, 0.001)
        rate = f"{documents / seconds:,.0f} a second"
        say(f"{plural(documents, 'document')} {rest} in {seconds:.1f} s ({rate})", err=True)
