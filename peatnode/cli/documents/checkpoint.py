"""The progress of an import or export, saved next to its file so that it can be resumed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(slots=True)
class Progress:
    """How far a job has come."""

    job: str
    """The job that may resume: direction, collection, node, and the prefix of an export."""
    offset: int = 0
    """Processed bytes of the file."""
    documents: int = 0
    """Processed lines of the file."""
    failed: int = 0
    cursor: str = ""
    """The start of the next page of an export."""
    digest: str = ""
    """Of the processed bytes of an imported file."""
    sent: int = 0
    """Bytes of an imported file up to the end of the lines that may have been written."""
    sent_digest: str = ""
    """Of these bytes."""
    unnamed: int = 0
    """Processed lines that have no `_id`."""
    sent_unnamed: int = 0
    """The same of the lines that may have been written."""


class ProgressFile:
    """Loads and saves the progress of a job."""

    def __init__(self, path: Path | None) -> None:
        """`path`: None saves nothing."""
        self._path = path

    def load(self, job: str) -> Progress:
        """The saved progress of this job, or the beginning."""
        if self._path is None:
            return Progress(job)
        try:
            progress = Progress(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return Progress(job)
        return progress if progress.job == job else Progress(job)

    def save(self, progress: Progress) -> None:
        """Raises OSError."""
        if self._path is None:
            return
        partial = self._path.with_name(self._path.name + ".new")
        partial.write_text(json.dumps(asdict(progress)))
        os.replace(partial, self._path)

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
