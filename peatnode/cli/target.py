"""The node of a command: a local one, by its run directory, or a remote one, by its URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.nodes import find_run_dir
from peatnode.client._wire.address import checked_url

MAX_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LocalNode:
    """A node on this machine, reached through its Unix sockets."""

    run_dir: Path

    def __str__(self) -> str:
        return f"the node of {self.run_dir}"


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A node reached through its API."""

    url: str
    token: str = field(repr=False)

    def __str__(self) -> str:
        return self.url


Target = LocalNode | RemoteNode


def find_target(url: str, data_dir: str, env: Mapping[str, str]) -> Target:
    """The node of the options, else of the environment, else the first that runs on this machine.

    Raises CliError, UsageError.
    """
    if url and data_dir:
        raise click.UsageError("--url and --data-dir name two different nodes: give one of them")
    if not url and not data_dir:
        url = env.get("PEAT_URL", "")
    if not url:
        return find_local_node(data_dir, env)
    try:
        return RemoteNode(checked_url(url), read_token(env))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def find_local_node(data_dir: str, env: Mapping[str, str]) -> LocalNode:
    """The node of the directory, else the first that runs on this machine. Raises CliError."""
    return LocalNode(find_run_dir(data_dir, env))


def read_token(env: Mapping[str, str]) -> str:
    """The API token in PEAT_API_TOKEN, or in the file PEAT_API_TOKEN_FILE. Empty: neither is set."""
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
    """The token, if an HTTP header can carry it. Raises CliError."""
    if token.isascii() and token.isprintable() and " " not in token:
        return token
    raise CliError(
        f"{where} does not contain a token: a token has only printable ASCII characters, and no spaces",
        Exit.CONFIGURATION,
    )
