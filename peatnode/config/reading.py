"""Parses the texts of variables. If a text is invalid, `read_…(name, text)` raises BadConfiguration."""

from __future__ import annotations

import base64
import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path

from peatnode.config.sources import CANONICAL, list_sources
from peatnode.config.values import ExpectedPeers, Secret, StaticPeer
from peatnode.config.weak_secrets import find_weakness
from peatnode.errors import BadConfiguration
from peatnode.logs import parse_filter
from peatnode.texts import MAX_NAME_BYTES, is_name, one_line

MIN_SECRET_BYTES = 16

MAX_EXPECTED_PEERS = 1024

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_DAYS = 3650


def read_text(_: str, text: str) -> str:
    return text


def read_name(name: str, text: str) -> str:
    if not is_name(text):
        raise BadConfiguration(
            f"{name}={text!r} is not a name: 1 to {MAX_NAME_BYTES} bytes, no spaces, /, @, comma, =, quotes, "
            "control or invisible characters, and not . or .."
        )
    return text


def read_cluster(name: str, text: str) -> str:
    return read_name(name, text) if text else ""


def read_port(name: str, text: str) -> int:
    if text.startswith(("tcp://", "udp://")):
        raise BadConfiguration(
            f"{name}={text!r} was set by Kubernetes for a Service of that name and is not a port: "
            "set enableServiceLinks: false in the pod, or set the variable to a port."
        )
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise BadConfiguration(
            f"{name}={text!r} is not a port: set a number from 1 to 65535, or 0 for any free port."
        )
    return int(text)


def read_count(minimum: int, maximum: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not minimum <= int(text) <= maximum:
            raise BadConfiguration(f"{name}={text!r} must be a number from {minimum} to {maximum}.")
        return int(text)

    return read


def read_retention(name: str, text: str) -> float:
    """Seconds; infinite for `never`."""
    if text == "never":
        return math.inf
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 60 <= seconds <= _LONGEST_DAYS * _SECONDS["d"]:
        raise BadConfiguration(
            f"{name}={text!r} is not a duration: set a number and a unit (s, m, h, d) from 1m to {_LONGEST_DAYS}d, "
            "for example 7d, 12h or 90m, or never."
        )
    return float(seconds)


def read_expected_peers(name: str, text: str) -> ExpectedPeers:
    """A number, or names divided by commas, spaces or ends of lines."""
    parts = tuple(dict.fromkeys(filter(None, re.split(r"[,\s]+", text))))
    if text and not parts:
        raise BadConfiguration(f"{name}={text!r} names no peer: set a number or node ids.")
    if len(parts) == 1 and re.fullmatch(r"[0-9]+", parts[0]):
        return ExpectedPeers(read_count(0, MAX_EXPECTED_PEERS)(name, parts[0]))
    if len(parts) > MAX_EXPECTED_PEERS:
        raise BadConfiguration(
            f"{name} names {len(parts)} peers, but at most {MAX_EXPECTED_PEERS} can be expected."
        )
    return ExpectedPeers(0, tuple(read_name(name, part) for part in parts))


def read_secret(name: str, text: str) -> Secret:
    advice = "`peatnode secret` generates one."
    try:
        value = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # includes binascii.Error
        raise BadConfiguration(f"{name} is not base64. {advice}") from None
    if len(value) < MIN_SECRET_BYTES:
        raise BadConfiguration(
            f"{name} holds {len(value)} bytes, but needs at least {MIN_SECRET_BYTES}. {advice}"
        )
    if weakness := find_weakness(value):
        raise BadConfiguration(f"{name} {weakness}: anybody may guess it and join. {advice}")
    return Secret(value)


def read_token(name: str, text: str) -> Secret | None:
    if not text:
        return None
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", text):
        raise BadConfiguration(
            f"{name} must be 8 to 512 printable ASCII characters without spaces, "
            "for example from `openssl rand -hex 32`."
        )
    return Secret(text.encode())


def read_discovery(name: str, text: str) -> tuple[str, ...]:
    named = read_list(name, text.lower())
    if text and not named:
        raise BadConfiguration(f"{name}={text!r} names no source of peers: use {list_sources()}.")
    for part in named:
        if part not in CANONICAL:
            raise BadConfiguration(
                f"{name}={text!r}: {part!r} is not a source of peers. Use {list_sources()}, "
                "or several joined by commas."
            )
    return tuple(dict.fromkeys([CANONICAL[part] for part in named]))


def read_list(_: str, text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def read_static_peers(name: str, text: str) -> tuple[StaticPeer, ...]:
    return tuple(read_static_peer(name, part) for part in read_list(name, text))


def read_static_peer(name: str, text: str) -> StaticPeer:
    found = re.fullmatch(
        r"(?:(?P<id>[^\s@]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^\s:\[\]@]+)):(?P<port>[0-9]{1,5})",
        text,
    )
    if found is None or not 1 <= int(found["port"]) <= 65535 or one_line(text) != text:
        raise BadConfiguration(
            f"{name}: {text!r} is not [id@]host:port (IPv6 addresses need brackets), "
            "for example peat-mesh-1@10.0.0.7:11204."
        )
    if found["v6"]:
        try:
            ipaddress.IPv6Address(found["v6"].partition("%")[0])
        except ValueError:
            raise BadConfiguration(
                f"{name}: {found['v6']!r} in {text!r} is not an IPv6 address."
            ) from None
    node_id = read_name(f"{name}: the id of {text!r}", found["id"]) if found["id"] else ""
    return StaticPeer(node_id, found["v6"] or found["host"], int(found["port"]))


def read_address(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if text == "localhost":
            return "127.0.0.1"
        raise BadConfiguration(
            f"{name}={text!r} is not an IP address: set an address of this machine."
        ) from None


def read_interfaces(name: str, text: str) -> tuple[str, ...]:
    return tuple(read_address(name, part) for part in read_list(name, text))


def read_relays(name: str, text: str) -> tuple[str, ...]:
    for url in read_list(name, text):
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise BadConfiguration(f"{name}: {url!r} is not a URL (https://…).")
    return read_list(name, text)


def read_filter(name: str, text: str) -> str:
    parse_filter(text)
    return text


def read_format(name: str, text: str) -> str:
    if text not in ("text", "json"):
        raise BadConfiguration(f"{name}={text!r} must be text or json.")
    return text


def read_path(name: str, text: str) -> Path | None:
    if "\x00" in text:
        raise BadConfiguration(f"{name} is not a path.")
    return Path(text).absolute() if text else None
