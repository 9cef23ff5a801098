"""Which node is meant: one on this machine, by its run directory, or one far away, by its URL."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.client._wire.address import checked_url

F = TypeVar("F", bound=Callable[..., Any])

MAX_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LocalNode:
    """A node on this machine."""

    run_dir: Path

    def __str__(self) -> str:
        return f"the node of {self.run_dir}"


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A node by its API."""

    url: str
    token: str = field(repr=False)

    def __str__(self) -> str:
        return self.url


Target = LocalNode | RemoteNode


def run_dirs(data_dir: str, env: Mapping[str, str]) -> Iterator[Path]:
    """Where a node could run, in the order in which to look."""
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
    places = [
        Path("/data"),
        here,
        *sorted(here.glob("peat-mesh-*")),
        *sorted(here.glob("mesh/peat-mesh-*")),
    ]
    yield from map(default_run_dir, places)


def is_served(path: Path) -> bool:
    """Whether a process listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


def find_local(data_dir: str, env: Mapping[str, str]) -> LocalNode:
    """The first that runs. Raises CliError where none does."""
    candidates = list(run_dirs(data_dir, env))
    for run_dir in candidates:
        if is_served(run_dir / "supervisor.sock"):
            return LocalNode(run_dir)
    looked = ", ".join(str(path) for path in candidates[:4])
    raise CliError(
        f"no node runs on this machine (looked in {looked})",
        Exit.UNREACHABLE,
        "Start one with `peatnode dev`, name its data directory with --data-dir, or give --url of one elsewhere.",
    )


def find_target(url: str, data_dir: str, env: Mapping[str, str]) -> Target:
    if url and data_dir:
        raise click.UsageError("--url and --data-dir name two different nodes: give one of them")
    if not url and not data_dir:
        url = env.get("PEAT_URL", "")
    if not url:
        return find_local(data_dir, env)
    try:
        return RemoteNode(checked_url(url), read_token(env))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def read_token(env: Mapping[str, str]) -> str:
    """The token of the API, from PEAT_API_TOKEN or the file that PEAT_API_TOKEN_FILE names; empty: none."""
    if token := env.get("PEAT_API_TOKEN", "").strip():
        return _checked_token(token, "PEAT_API_TOKEN")
    if not (file := env.get("PEAT_API_TOKEN_FILE", "")):
        return ""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_TOKEN_BYTES)
    except OSError as error:
        raise CliError(
            f"PEAT_API_TOKEN_FILE: {file} cannot be read: {error.strerror}", Exit.CONFIGURATION
        ) from error
    return _checked_token(content.decode(errors="replace").strip(), file)


def _checked_token(token: str, where: str) -> str:
    """What can stand in a header."""
    if token.isascii() and token.isprintable() and " " not in token:
        return token
    raise CliError(
        f"{where} holds no token: those are printable ASCII characters without spaces",
        Exit.CONFIGURATION,
    )


def with_target(command: F) -> F:
    """Gives a command --url and --data-dir, and hands it the `target`."""

    @click.option("--url", metavar="URL", help="A node elsewhere, by its API. [env: PEAT_URL]")
    @click.option(
        "--data-dir",
        metavar="DIR",
        help="A node on this machine, by its data directory. "
        "[env: PEAT_DATA_DIR; else /data, ./.data]",
    )
    @wraps(command)
    def wrapped(*args: Any, url: str | None, data_dir: str | None, **kwargs: Any) -> Any:
        target = find_target(url or "", data_dir or "", os.environ)
        return command(*args, target=target, **kwargs)

    return wrapped  # type: ignore[return-value]
