"""How far an import or export has come, kept next to its file so that it can resume after an interruption."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(slots=True)
class Progress:
    job: str
    """What must be the same to go on: direction, collection, node, and what the file was."""
    offset: int = 0
    """Bytes of the file that are done."""
    documents: int = 0
    """Lines that are done."""
    failed: int = 0
    cursor: str = ""
    """Of an export: where the next page begins."""


class ProgressFile:
    def __init__(self, path: Path | None) -> None:
        """Without a path nothing is kept."""
        self._path = path

    def load(self, job: str) -> Progress:
        """What was kept of the same job, or a beginning."""
        if self._path is None:
            return Progress(job)
        try:
            progress = Progress(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return Progress(job)
        return progress if progress.job == job else Progress(job)

    def save(self, progress: Progress) -> None:
        if self._path is None:
            return
        partial = self._path.with_name(self._path.name + ".new")
        partial.write_text(json.dumps(asdict(progress)))
        os.replace(partial, self._path)

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
