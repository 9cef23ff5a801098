"""What released versions left behind, in `tests/fixtures`: stores on disk and recorded sessions."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"
RELEASES = sorted(path.parent.name for path in FIXTURES.glob("*/contents.json"))
STORES = ("stopped", "killed")
"""A store whose node stopped in order, and one whose node was killed with changes only in the log."""


def contents_of(release: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / release / "contents.json").read_text())
    return found


def session_of(release: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / release / "session.json").read_text())
    return found


def unpack_store(release: str, store: str, into: Path) -> None:
    """Makes `into` a data directory with a store of that release."""
    with tarfile.open(FIXTURES / release / f"{store}.tar.gz") as archive:
        archive.extractall(into, filter="data")
