"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from peatnode.cli.target import find_target

F = TypeVar("F", bound=Callable[..., Any])

with_output = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Text for people, or JSON, which is stable and documented in docs/cli.md.",
)


def with_target(command: F) -> F:
    """Adds --url and --data-dir to a command, which receives the node that they name as `target`."""

    @click.option(
        "--url", metavar="URL", help="A remote node, by the URL of its API. [env: PEAT_URL]"
    )
    @click.option(
        "--data-dir",
        metavar="DIR",
        help="A node on this machine, by its data directory. "
        "[env: PEAT_DATA_DIR; default: /data, ./.data]",
    )
    @wraps(command)
    def wrapped(*args: Any, url: str | None, data_dir: str | None, **kwargs: Any) -> Any:
        target = find_target(url or "", data_dir or "", os.environ)
        return command(*args, target=target, **kwargs)

    return wrapped  # type: ignore[return-value]
