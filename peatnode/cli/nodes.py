"""Finds the nodes of this machine: the run directories to search, and those that a node serves."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.errors import BadConfiguration

SHOWN_RUN_DIRS = 4
"""Number of searched directories that the error names; a mesh has many."""


def run_dirs(data_dir: str, env: Mapping[str, str]) -> Iterator[Path]:
    """The run directories to search, in order."""
    if data_dir:
        yield from _places_of(Path(data_dir).absolute())
        return
    if env.get("PEAT_RUN_DIR"):
        yield Path(env["PEAT_RUN_DIR"])
        return
    if env.get("PEAT_DATA_DIR"):
        yield from _places_of(Path(env["PEAT_DATA_DIR"]).absolute())
        return
    here = Path(".data").absolute()
    data_dirs = [
        Path("/data"),
        here,
        *sorted(here.glob("peat-mesh-*")),
        *sorted(here.glob("mesh/peat-mesh-*")),
    ]
    yield from chain.from_iterable(map(_places_of, data_dirs))


def _places_of(data_dir: Path) -> Iterator[Path]:
    """Where the node of a data directory can have its sockets: first in it, then in /tmp, where other users write."""
    from peatnode.config import run_dir_choices

    first, *others = run_dir_choices(data_dir)
    yield first
    yield from (place for place in others if _is_trusted(place, data_dir))


def _is_trusted(place: Path, data_dir: Path) -> bool:
    """Whether it belongs to this user, to root, or to the owner of the data."""
    try:
        owners = {os.getuid(), 0, data_dir.stat().st_uid}
        return place.lstat().st_uid in owners and place.is_dir()
    except OSError:
        return False


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
        _refused_setting(env)
        or "Start a node with `peatnode dev`, name its data directory with --data-dir, "
        "or name a remote node with --url.",
    )


def _refused_setting(env: Mapping[str, str]) -> str:
    """Why a node with the secret of this environment does not start; empty if nothing is known."""
    from peatnode.config import load_config

    if env.get("PEAT_FORMATION_SECRET") or env.get("PEAT_FORMATION_SECRET_FILE"):
        try:
            load_config(env)
        except BadConfiguration as error:
            return f"A node does not start with these settings. {error}"
    return ""
