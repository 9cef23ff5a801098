"""Finds the nodes of this machine: the run directories to search, and those that a node serves."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit

SHOWN_RUN_DIRS = 4
"""Number of searched directories that the error names; a mesh has many."""


def run_dirs(data_dir: str, env: Mapping[str, str]) -> Iterator[Path]:
    """The run directories to search, in order."""
    from peatnode.config import default_run_dir

    if data_dir:
        yield default_run_dir(Path(data_dir).absolute())
        return
    if env.get("PEAT_RUN_DIR"):
        yield Path(env["PEAT_RUN_DIR"])
        return
    if env.get("PEAT_DATA_DIR"):
        yield default_run_dir(Path(env["PEAT_DATA_DIR"]).absolute())
        return
    here = Path(".data").absolute()
    data_dirs = [
        Path("/data"),
        here,
        *sorted(here.glob("peat-mesh-*")),
        *sorted(here.glob("mesh/peat-mesh-*")),
    ]
    yield from map(default_run_dir, data_dirs)


def is_served(path: Path) -> bool:
    """Whether a process listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


def find_run_dir(data_dir: str, env: Mapping[str, str]) -> Path:
    """The first run directory that a node serves. Raises CliError if there is none."""
    candidates = list(run_dirs(data_dir, env))
    for run_dir in candidates:
        if is_served(run_dir / "supervisor.sock"):
            return run_dir
    searched = ", ".join(str(path) for path in candidates[:SHOWN_RUN_DIRS])
    raise CliError(
        f"no node runs on this machine (searched {searched})",
        Exit.UNREACHABLE,
        "Start a node with `peatnode dev`, name its data directory with --data-dir, "
        "or name a remote node with --url.",
    )
