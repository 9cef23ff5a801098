"""What a node is told: variables of the environment, or flags of `peatnode run` of the same names.

`VARIABLES` is the one table; the flags of the CLI and docs/configuration.md follow it.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peatnode.errors import BadConfiguration
from peatnode.logs import parse_filter

SOURCES = ("kubernetes", "mdns", "static")
"""Where peers can be found."""

MIN_SECRET_BYTES = 16

_MAX_FILE_CHARACTERS = 64 * 1024

_MAX_SOCKET_PATH = 90
"""A Unix socket's path has 108 bytes; our names take up to 17."""


class Secret:
    """Bytes that no log and no repr shows."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class StaticPeer:
    """One entry of PEAT_STATIC_PEERS."""

    node_id: str
    """Empty: any member of the formation will do."""
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Config:
    """Everything in force, checked."""

    hostname: str
    cluster: str
    secret: Secret
    discovery: tuple[str, ...]
    static_peers: tuple[StaticPeer, ...]
    data_dir: Path
    run_dir: Path
    broker_host: str
    broker_port: int
    broker_workers: int
    api_token: Secret | None
    read_token: Secret | None
    quic_host: str
    quic_port: int
    relay_urls: tuple[str, ...]
    log_filter: str
    log_format: str
    kubernetes_label: str
    kubernetes_namespace: str
    mdns_interfaces: tuple[str, ...]
    max_body_bytes: int

    @property
    def node_id(self) -> str:
        """HOSTNAME, or HOSTNAME.CLUSTER: the name in everything, derivations included."""
        return f"{self.hostname}.{self.cluster}" if self.cluster else self.hostname


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the table."""

    name: str
    default: str | None
    """None: required. Empty: unset."""
    help: str
    read: Callable[[str, str], Any]
    """(name, text) to value; raises BadConfiguration."""
    field: str
    aliases: tuple[str, ...] = ()
    has_file: bool = False
    """`NAME_FILE` may name a file that holds the value."""
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable as it is in force: what `peatnode config` prints."""

    name: str
    value: str
    """`(hidden)` for a secret, empty when unset."""
    origin: str
    """default | environment NAME | flag --name | file PATH"""


def _text(_: str, text: str) -> str:
    return text


def _name(name: str, text: str) -> str:
    if not re.fullmatch(r"[^\s/@,=\"\x00-\x1f]{1,253}", text):
        raise BadConfiguration(
            f"{name}={text!r} is not a name: 1 to 253 characters, no spaces, /, @, comma, = or quotes."
        )
    return text


def _cluster(name: str, text: str) -> str:
    return _name(name, text) if text else ""


def _port(name: str, text: str) -> int:
    if text.startswith(("tcp://", "udp://")):
        raise BadConfiguration(
            f"{name}={text!r} is what Kubernetes sets for a Service of that name, not a port: "
            "set enableServiceLinks: false in the pod, or give the variable a port."
        )
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise BadConfiguration(
            f"{name}={text!r} is not a port: a number from 1 to 65535 (0: any free one)."
        )
    return int(text)


def _count(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise BadConfiguration(f"{name}={text!r} has to be a number from {least} to {most}.")
        return int(text)

    return read


def _secret(name: str, text: str) -> Secret:
    how = "`peatnode secret` makes one."
    try:
        value = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # binascii.Error is one, and so is text that is not ASCII
        raise BadConfiguration(f"{name} is not base64. {how}") from None
    if len(value) < MIN_SECRET_BYTES:
        raise BadConfiguration(
            f"{name} holds {len(value)} bytes, and at least {MIN_SECRET_BYTES} are needed. {how}"
        )
    return Secret(value)


def _token(name: str, text: str) -> Secret | None:
    if not text:
        return None
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", text):
        raise BadConfiguration(
            f"{name} has to be 8 to 512 printable ASCII characters without spaces, "
            "for example from `openssl rand -hex 32`."
        )
    return Secret(text.encode())


def _discovery(name: str, text: str) -> tuple[str, ...]:
    named = ["kubernetes" if part == "k8s" else part for part in _list(name, text.lower())]
    for part in named:
        if part not in SOURCES:
            raise BadConfiguration(
                f"{name}={text!r}: {part!r} is not a source of peers; "
                f"those are {', '.join(SOURCES)} (k8s is kubernetes)."
            )
    return tuple(dict.fromkeys(named))


def _list(_: str, text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _static_peers(name: str, text: str) -> tuple[StaticPeer, ...]:
    return tuple(_static_peer(name, part) for part in _list(name, text))


def _static_peer(name: str, text: str) -> StaticPeer:
    found = re.fullmatch(
        r"(?:(?P<id>[^\s@]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^\s:\[\]@]+)):(?P<port>[0-9]{1,5})",
        text,
    )
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise BadConfiguration(
            f"{name}: {text!r} is not [id@]host:port (an IPv6 address goes in brackets), "
            "e.g. peat-mesh-1@10.0.0.7:11204."
        )
    if found["v6"]:
        try:
            ipaddress.IPv6Address(found["v6"].partition("%")[0])
        except ValueError:
            raise BadConfiguration(
                f"{name}: {found['v6']!r} in {text!r} is not an IPv6 address."
            ) from None
    return StaticPeer(found["id"] or "", found["v6"] or found["host"], int(found["port"]))


def _address(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if text == "localhost":
            return "127.0.0.1"
        raise BadConfiguration(f"{name}={text!r} is not an IP address to listen on.") from None


def _interfaces(name: str, text: str) -> tuple[str, ...]:
    return tuple(_address(name, part) for part in _list(name, text))


def _relays(name: str, text: str) -> tuple[str, ...]:
    for url in _list(name, text):
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise BadConfiguration(f"{name}: {url!r} is not a URL (https://…).")
    return _list(name, text)


def _filter(name: str, text: str) -> str:
    parse_filter(text)
    return text


def _format(name: str, text: str) -> str:
    if text not in ("text", "json"):
        raise BadConfiguration(f"{name}={text!r} has to be text or json.")
    return text


def _path(name: str, text: str) -> Path | None:
    if "\x00" in text:
        raise BadConfiguration(f"{name} is not a path.")
    return Path(text).absolute() if text else None


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PEAT_FORMATION_SECRET",
        None,
        "base64 of at least 16 bytes, shared by all nodes; `peatnode secret` makes one",
        _secret,
        "secret",
        has_file=True,
        is_secret=True,
    ),
    Variable("HOSTNAME", "peat-mesh-0", "the node's name, context of its keys", _name, "hostname"),
    Variable(
        "PEAT_CLUSTER",
        "",
        "name of the cluster; the node id is then HOSTNAME.CLUSTER",
        _cluster,
        "cluster",
    ),
    Variable(
        "PEAT_DISCOVERY",
        "kubernetes",
        "where peers are found: kubernetes (k8s), mdns, static, or several joined by commas",
        _discovery,
        "discovery",
    ),
    Variable(
        "PEAT_STATIC_PEERS",
        "",
        "[id@]host:port,… ; host names are resolved again and again",
        _static_peers,
        "static_peers",
    ),
    Variable("PEAT_DATA_DIR", "/data", "where documents are kept", _path, "data_dir"),
    Variable(
        "PEAT_RUN_DIR",
        "",
        "where the node's Unix sockets are; by default `run` in the data directory",
        _path,
        "run_dir",
    ),
    Variable("PEAT_BROKER_HOST", "0.0.0.0", "address of the API", _address, "broker_host"),  # noqa: S104  # what a pod needs
    Variable("PEAT_BROKER_PORT", "8081", "TCP port of the API", _port, "broker_port"),
    Variable(
        "PEAT_BROKER_WORKERS", "1", "processes that serve the API", _count(1, 32), "broker_workers"
    ),
    Variable(
        "PEAT_API_TOKEN",
        "",
        "bearer token of the API; empty: open",
        _token,
        "api_token",
        has_file=True,
        is_secret=True,
    ),
    Variable(
        "PEAT_READ_TOKEN",
        "",
        "bearer token that may read and not write",
        _token,
        "read_token",
        has_file=True,
        is_secret=True,
    ),
    Variable(
        "PEAT_MAX_BODY_BYTES",
        "1048576",
        "longest document, in bytes of JSON",
        _count(1024, 8 * 2**20),
        "max_body_bytes",
    ),
    Variable(
        "PEAT_QUIC_HOST",
        "0.0.0.0",  # noqa: S104  # as above
        "address of sync; :: is IPv6 and IPv4",
        _address,
        "quic_host",
    ),
    Variable(
        "PEAT_QUIC_PORT",
        "11204",
        "UDP port of sync",
        _port,
        "quic_port",
        aliases=("PEAT_IROH_BIND_PORT",),
    ),
    Variable(
        "PEAT_RELAY_URLS",
        "",
        "relays for peers behind NAT (not used yet)",
        _relays,
        "relay_urls",
        aliases=("PEAT_IROH_RELAY_URLS",),
    ),
    Variable(
        "PEAT_K8S_LABEL",
        "app=peat-mesh",
        "label selector of the EndpointSlices",
        _text,
        "kubernetes_label",
    ),
    Variable(
        "PEAT_K8S_NAMESPACE",
        "",
        "their namespace; empty: the pod's own",
        _text,
        "kubernetes_namespace",
    ),
    Variable(
        "PEAT_MDNS_INTERFACES",
        "",
        "addresses of the interfaces that mDNS uses; empty: all that fit",
        _interfaces,
        "mdns_interfaces",
    ),
    Variable(
        "PEAT_LOG",
        "info,peatnode=debug",
        "log filter: a level, then name=level pairs",
        _filter,
        "log_filter",
        aliases=("RUST_LOG",),
    ),
    Variable("PEAT_LOG_FORMAT", "text", "text or json", _format, "log_format"),
)


def flag_of(name: str) -> str:
    """The flag of `peatnode run` for a variable: PEAT_DATA_DIR is --data-dir."""
    return "--" + name.removeprefix("PEAT_").lower().replace("_", "-")


def load_config(env: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """The configuration in force; `flags` by the variables' names (NAME_FILE too). Raises BadConfiguration."""
    return read_settings(env, flags or {})[0]


def read_settings(
    env: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Config, tuple[Setting, ...]]:
    """The configuration and where each part of it is from. Raises BadConfiguration."""
    values: dict[str, Any] = {}
    settings = []
    for variable in VARIABLES:
        text, name, origin = _find(variable, env, flags)
        values[variable.field] = variable.read(name, text)
        shown = "(hidden)" if variable.is_secret and text else text
        settings.append(Setting(variable.name, shown, origin))
    _check_together(values)
    values["run_dir"] = values["run_dir"] or default_run_dir(values["data_dir"])
    return Config(**values), tuple(settings)


def default_run_dir(data_dir: Path) -> Path:
    """`run` in the data directory; where that path is too long for a Unix socket, a short one made of its digest."""
    run_dir = data_dir / "run"
    if len(str(run_dir).encode()) <= _MAX_SOCKET_PATH:
        return run_dir
    import hashlib

    return Path("/tmp") / f"peatnode-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:24]}"  # noqa: S108  # made 0700


def _find(
    variable: Variable, env: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[str, str, str]:
    """(text, name to blame, origin). An empty value is an unset one."""
    names = (variable.name, *variable.aliases)
    if flags.get(variable.name):
        return flags[variable.name], flag_of(variable.name), f"flag {flag_of(variable.name)}"
    set_names = [name for name in names if env.get(name)]
    file_name = f"{variable.name}_FILE"
    if variable.has_file and flags.get(file_name):
        return _read_file(file_name, flags[file_name]), file_name, f"file {flags[file_name]}"
    if variable.has_file and env.get(file_name):
        if set_names:
            raise BadConfiguration(
                f"{set_names[0]} and {file_name} are both set: unset one of them."
            )
        return _read_file(file_name, env[file_name]), file_name, f"file {env[file_name]}"
    if set_names:
        return env[set_names[0]], set_names[0], f"environment {set_names[0]}"
    if variable.default is None:
        raise BadConfiguration(
            f"{variable.name} (or {file_name}) is not set: it holds {variable.help}."
        )
    return variable.default, variable.name, "default"


def _read_file(name: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_FILE_CHARACTERS + 1)
            mode = os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadConfiguration(f"{name}={path!r} cannot be read: {reason}.") from None
    if len(text) > _MAX_FILE_CHARACTERS:
        raise BadConfiguration(f"{name}={path!r} is too long to be a secret.")
    if not text.strip():
        raise BadConfiguration(f"{name}={path!r} is empty.")
    if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        raise BadConfiguration(f"{name}={path!r} can be written by anybody: chmod 600 it.")
    return text.strip()


def _check_together(values: Mapping[str, Any]) -> None:
    if (
        "static" in values["discovery"]
        and not values["static_peers"]
        and len(values["discovery"]) == 1
    ):
        return  # a node that waits to be dialled
    if values["static_peers"] and "static" not in values["discovery"]:
        raise BadConfiguration(
            "PEAT_STATIC_PEERS is set, and PEAT_DISCOVERY does not name static: "
            f"set PEAT_DISCOVERY={','.join([*values['discovery'], 'static'])} or unset the peers."
        )
    if values["read_token"] and not values["api_token"]:
        raise BadConfiguration(
            "PEAT_READ_TOKEN is set without PEAT_API_TOKEN: anybody could write. Set both."
        )
