"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

import click

from peatnode.cli.target import Target, find_target

F = TypeVar("F", bound=Callable[..., Any])


def _of_group(name: str) -> Any:
    """The value of the option that the group above the command was given: `peers -o json log`."""
    context = click.get_current_context(silent=True)
    parent = None if context is None else context.parent
    return None if parent is None else parent.params.get(name)


def with_output(command: F) -> F:
    """Adds --output and --json to a command, which receives `output`: text or json."""
    choice = click.option(
        "--output",
        "-o",
        type=click.Choice(["text", "json"]),
        help="Text for people, or JSON, which is stable and documented in docs/cli.md.",
    )
    short = click.option("--json", "is_json", is_flag=True, help="The same as `-o json`.")

    @choice
    @short
    @wraps(command)
    def wrapped(*args: Any, output: str | None, is_json: bool, **kwargs: Any) -> Any:
        inherited = "json" if _of_group("is_json") else _of_group("output")
        chosen = "json" if is_json else output or inherited or "text"
        return command(*args, output=chosen, **kwargs)

    return wrapped  # type: ignore[return-value]


with_data_dir = click.option(
    "--data-dir",
    metavar="DIR",
    help="A node on this machine, by its data directory. "
    "[env: PEAT_DATA_DIR; default: /data, ./.data]",
)


def with_target_options(command: F) -> F:
    """Adds --url and --data-dir to a group, whose commands receive the node that they name."""
    url = click.option(
        "--url", metavar="URL", help="A remote node, by the URL of its API. [env: PEAT_URL]"
    )
    return url(with_data_dir(command))


def with_target(command: F) -> F:
    """Adds --url and --data-dir to a command, which receives the node that they name as `target`."""

    @with_target_options
    @wraps(command)
    def wrapped(*args: Any, url: str | None, data_dir: str | None, **kwargs: Any) -> Any:
        url, data_dir = url or _of_group("url"), data_dir or _of_group("data_dir")
        target = find_target(url or "", data_dir or "", os.environ)
        return command(*args, target=target, **kwargs)

    return wrapped  # type: ignore[return-value]


def find_options_target(context: click.Context, env: Mapping[str, str]) -> Target:
    """The node of the options that stand on an unfinished command line. Raises CliError, UsageError."""
    levels = [context.params, context.parent.params if context.parent else {}]
    url, data_dir = (
        next((level[name] for level in levels if level.get(name)), "")
        for name in ("url", "data_dir")
    )
    return find_target(url, data_dir, env)
