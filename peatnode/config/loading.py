"""Loads the configuration from the environment and the flags, and records the origin of each setting."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peatnode.config.reading import read_expected_peers, read_name
from peatnode.config.values import Config, ExpectedPeers
from peatnode.config.variables import VARIABLES, Variable, flag_of
from peatnode.errors import BadConfiguration

_MAX_FILE_CHARACTERS = 64 * 1024

_MAX_SOCKET_PATH = 90
"""Bytes. Linux limits the path of a Unix socket to 108 bytes;
the file names in the directory need up to 17."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The effective value of a variable, as `peatnode config` prints it."""

    name: str
    value: str
    """`(hidden)` for a secret, empty when unset."""
    origin: str
    """default | environment NAME | flag --name | file PATH"""


def load_config(env: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """The effective configuration. Keys of `flags` are names of variables or NAME_FILE.
    Raises BadConfiguration."""
    return read_settings(env, flags or {})[0]


def read_settings(
    env: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Config, tuple[Setting, ...]]:
    """The configuration, and the origin of each setting. Raises BadConfiguration."""
    values: dict[str, Any] = {}
    settings = []
    for variable in VARIABLES:
        found = _find(variable, env, flags)
        values[variable.field] = variable.read(found.name, found.text)
        if variable.file_field:
            values[variable.file_field] = Path(found.path).absolute() if found.path else None
        one_line = " ".join(found.text.split())
        shown = "(hidden)" if variable.is_secret and found.text else one_line
        settings.append(Setting(variable.name, shown, found.origin))
    _check_together(values)
    values["run_dir"] = values["run_dir"] or default_run_dir(values["data_dir"])
    return Config(**values), tuple(settings)


def default_run_dir(data_dir: Path) -> Path:
    """Where the sockets of a node are, if its disk takes them: the first of `run_dir_choices`."""
    return run_dir_choices(data_dir)[0]


def run_dir_choices(data_dir: Path) -> tuple[Path, ...]:
    """Where the sockets of a node with this data directory can be, in order of preference.

    `run` in the data directory, unless that path is too long for a Unix socket, and a directory in /tmp named by a
    digest, for a data directory that takes no files.
    """
    import hashlib

    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:24]
    elsewhere = Path("/tmp") / f"peatnode-{digest}"  # noqa: S108  # created 0700
    run_dir = data_dir / "run"
    is_short = len(str(run_dir).encode()) <= _MAX_SOCKET_PATH
    return (run_dir, elsewhere) if is_short else (elsewhere,)


@dataclass(frozen=True, slots=True)
class _Found:
    """The text of a variable, and where it is from."""

    text: str
    name: str
    """For error messages."""
    origin: str
    path: str = ""
    """Of the file that holds it; empty: none."""


def _find(variable: Variable, env: Mapping[str, str], flags: Mapping[str, str]) -> _Found:
    """The text that counts. An empty value counts as unset."""
    names = (variable.name, *variable.aliases)
    file_name = f"{variable.name}_FILE"
    flag_file = flags.get(file_name, "") if variable.has_file else ""
    env_file = env.get(file_name, "") if variable.has_file else ""
    if flags.get(variable.name):
        flag = flag_of(variable.name)
        if flag_file:
            raise _both_are_set(flag, flag_of(file_name))
        return _Found(flags[variable.name], flag, f"flag {flag}")
    set_names = [name for name in names if env.get(name)]
    if env_file and set_names and not flag_file:
        raise _both_are_set(set_names[0], file_name)
    if path := flag_file or env_file:
        return _Found(_read_file(file_name, path), file_name, f"file {path}", path)
    if set_names:
        return _Found(env[set_names[0]], set_names[0], f"environment {set_names[0]}")
    if variable.default is None:
        raise BadConfiguration(
            f"{variable.name} (or {file_name}) is not set. Set it to: {variable.help}."
        )
    return _Found(variable.default, variable.name, "default")


def _both_are_set(first: str, second: str) -> BadConfiguration:
    return BadConfiguration(f"{first} and {second} are both set: unset one of them.")


def reread_expected_peers(path: Path) -> ExpectedPeers:
    """What the file of PEAT_EXPECTED_PEERS_FILE holds now. Raises BadConfiguration."""
    name = "PEAT_EXPECTED_PEERS_FILE"
    return read_expected_peers(name, _read_file(name, str(path)))


def _read_file(name: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_FILE_CHARACTERS + 1)
            mode = os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadConfiguration(f"{name}={path!r} cannot be read: {reason}.") from None
    if len(text) > _MAX_FILE_CHARACTERS:
        raise BadConfiguration(
            f"{name}={path!r} is too long: {_MAX_FILE_CHARACTERS} characters are allowed."
        )
    if not text.strip():
        raise BadConfiguration(f"{name}={path!r} is empty.")
    if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        raise BadConfiguration(f"{name}={path!r} can be written by all users: run chmod 600 on it.")
    return text.strip()


def _check_together(values: dict[str, Any]) -> None:
    # PEAT_STATIC_PEERS implies its source.
    if values["static_peers"] and "static" not in values["discovery"]:
        values["discovery"] = (*values["discovery"], "static")
    if values["cluster"]:
        read_name("HOSTNAME.PEAT_CLUSTER", f"{values['hostname']}.{values['cluster']}")
    if values["read_token"] and not values["api_token"]:
        raise BadConfiguration(
            "PEAT_READ_TOKEN is set without PEAT_API_TOKEN, so that anyone may write: set both."
        )
