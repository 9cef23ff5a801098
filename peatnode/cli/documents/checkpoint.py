"""How far an import or export has come, kept next to its file so that it can resume after an interruption."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(slots=True)
class Progress:
    job: str
    """What must be equal to continue: direction, collection, node, and the size of the file."""
    offset: int = 0
    """Bytes of the file that are processed."""
    documents: int = 0
    """Lines that are processed."""
    failed: int = 0
    cursor: str = ""
    """Of an export: the start of the next page."""


class ProgressFile:
    def __init__(self, path: Path | None) -> None:
        """Without a path, nothing is saved."""
        self._path = path

    def load(self, job: str) -> Progress:
        """The saved progress of the same job, or a new start."""
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
