"""The network interfaces of this machine: those that mDNS uses, and the addresses of this node."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ifaddr

from peatnode.ipc.messages import Address

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_POINTOPOINT = 0x10
_IFF_RUNNING = 0x40
_IFF_MULTICAST = 0x1000
_SIOCGIFFLAGS = 0x8913

_RTMGRP_LINK = 0x1
_RTMGRP_IPV4_IFADDR = 0x10
_RTMGRP_IPV6_IFADDR = 0x100

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound


@dataclass(frozen=True, slots=True)
class Adapter:
    """One network interface."""

    name: str
    index: int
    hosts: tuple[str, ...]
    """IP addresses, without scope."""
    is_up: bool = True
    is_loopback: bool = False
    is_bridge: bool = False
    """Whether it belongs to containers or virtual machines and does not have the default route."""
    has_multicast: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """The interfaces that mDNS uses, and the addresses that it announces."""

    interfaces: tuple[str | int, ...]
    """In the form of zeroconf: an IPv4 address, or the index of an interface that has only IPv6."""
    hosts: tuple[str, ...]
    """The addresses at which peers can reach this node."""


def choose_reach(adapters: Iterable[Adapter], wanted: tuple[str, ...], quic_host: str) -> Reach:
    """Chooses what mDNS uses. `wanted` are addresses of interfaces (PEAT_MDNS_INTERFACES); empty:
    all suitable ones."""
    adapters = tuple(adapters)
    if not wanted and quic_host not in WILDCARDS:
        wanted = (quic_host,)
    chosen = (
        [a for a in adapters if set(a.hosts) & set(wanted)]
        if wanted
        else _suitable(adapters, quic_host)
    )
    hosts = [host for adapter in chosen for host in adapter.hosts if _is_announced(host, quic_host)]
    if any(not adapter.is_loopback for adapter in chosen):
        hosts = [host for host in hosts if not ipaddress.ip_address(host).is_loopback]
    routable = [host for host in hosts if not ipaddress.ip_address(host).is_link_local]
    return Reach(
        interfaces=tuple(
            each for adapter in chosen for each in _zeroconf_interfaces(adapter, wanted)
        ),
        hosts=tuple(routable or hosts),
    )


def _suitable(adapters: Iterable[Adapter], quic_host: str) -> list[Adapter]:
    """All interfaces that reach other machines;
    if there is none, the loopback, which reaches nodes on this machine."""
    up = [
        a for a in adapters if a.is_up and any(_is_announced(host, quic_host) for host in a.hosts)
    ]
    outside = [a for a in up if a.has_multicast and not a.is_loopback and not a.is_bridge]
    return outside or [adapter for adapter in up if adapter.is_loopback]


def _zeroconf_interfaces(adapter: Adapter, wanted: tuple[str, ...]) -> list[str | int]:
    hosts = [host for host in adapter.hosts if ":" not in host]
    named = [host for host in hosts if host in wanted]
    return [*(named or hosts[:1])] or [adapter.index]


def _is_announced(host: str, quic_host: str) -> bool:
    if ":" in host and ipaddress.ip_address(host).is_link_local:
        return False  # unusable without the interface of the receiver
    if quic_host in WILDCARDS:
        return ":" not in host or quic_host == "::"
    return host == quic_host


def own_addresses(adapters: Iterable[Adapter], quic_host: str, port: int) -> frozenset[Address]:
    """Every address at which a datagram to `port` reaches this node."""
    if quic_host not in WILDCARDS:
        return frozenset({Address(quic_host, port)})
    hosts = {host for adapter in adapters for host in adapter.hosts}
    return frozenset(Address(host, port) for host in hosts)


def read_adapters() -> tuple[Adapter, ...]:
    """The current interfaces of this machine."""
    routed = _default_route_names()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return tuple(_read_adapter(found, routed, sock) for found in ifaddr.get_adapters())


def _read_adapter(found: ifaddr.Adapter, routed: frozenset[str], sock: socket.socket) -> Adapter:
    name = found.name if isinstance(found.name, str) else found.name.decode()
    flags = _read_flags(name, sock)
    hosts = (str(ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip) for ip in found.ips)
    return Adapter(
        name=name,
        index=found.index or 0,
        hosts=tuple(sorted(hosts, key=lambda host: ":" in host)),
        is_up=flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING,
        is_loopback=bool(flags & _IFF_LOOPBACK),
        is_bridge=_is_bridge(name) and name not in routed,
        has_multicast=bool(flags & _IFF_MULTICAST) and not flags & _IFF_POINTOPOINT,
    )


def _is_bridge(name: str) -> bool:
    """Whether it is a bridge, or a port of a bridge."""
    directory = Path("/sys/class/net", name)
    return (directory / "bridge").exists() or (directory / "brport").exists()


def _read_flags(name: str, sock: socket.socket) -> int:
    # Not from /sys, which may be mounted from another network namespace.
    request = struct.pack("16sH14x", name.encode()[:15], 0)
    try:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
    except OSError:
        return 0  # the interface has just been removed
    return int(struct.unpack_from("H", answer, 16)[0])


def open_changes() -> socket.socket | None:
    """A socket that is readable when interfaces or addresses change (rtnetlink(7)); None if unsupported."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
    try:
        sock.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
    except OSError:
        sock.close()
        return None
    return sock


def drain_changes(sock: socket.socket) -> None:
    """Discards the pending notifications; the caller reads the interfaces again."""
    try:
        while sock.recv(65536):
            continue
    except BlockingIOError:
        return
    except OSError:
        return  # the buffer overflowed, which also means a change


def _default_route_names() -> frozenset[str]:
    try:
        lines = Path("/proc/net/route").read_text().split("\n")[1:]
    except OSError:
        return frozenset()
    rows = [line.split() for line in lines]
    return frozenset(row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000")
