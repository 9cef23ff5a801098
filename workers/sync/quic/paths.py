"""Addresses in the form of the UDP socket, and the size of the datagrams that a path carries."""

from __future__ import annotations

import ipaddress
import socket

from peatnode.model.peers import Address

SocketAddress = tuple[str, int] | tuple[str, int, int, int]

SMALLEST_DATAGRAM = 1200
LARGEST_DATAGRAM = 16_000
"""Bytes. It stays below the limit of the length field in a QUIC long header (16,383)."""

_IP_MTU = 14
_IPV6_MTU = 24


def socket_address(family: int, host: str, port: int) -> SocketAddress:
    """The address as `recvfrom` returns it. Raises ValueError if a socket of this family cannot reach it."""
    ip = ipaddress.ip_address(host)
    if family == socket.AF_INET:
        if ip.version != 4:
            raise ValueError(f"{host} cannot be reached: the QUIC socket is IPv4 only")
        return (host, port)
    if ip.version == 4:
        return (f"::ffff:{host}", port, 0, 0)
    return _scoped(host, port)


def _scoped(host: str, port: int) -> SocketAddress:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    found = socket.getaddrinfo(host, port, socket.AF_INET6, socket.SOCK_DGRAM, 0, flags)
    address = found[0][4]
    assert len(address) == 4
    return address


def plain_host(address: SocketAddress) -> str:
    """The host without the prefix that a dual-stack socket adds to an IPv4 address."""
    return address[0].removeprefix("::ffff:") if "." in address[0] else address[0]


def format_address(address: SocketAddress) -> str:
    """`host:port`, for people."""
    return str(Address(plain_host(address), address[1]))


def datagram_size(family: int, address: SocketAddress) -> int:
    """The largest QUIC datagram for the path, in bytes,
    according to the kernel (which considers ICMP errors).

    The handshake tests it, because both sides pad their first datagrams to this size. If the path does not
    carry them, the handshake fails, and a later dial uses the smallest datagrams.
    """
    level, option, headers = (
        (socket.IPPROTO_IP, _IP_MTU, 28)
        if family == socket.AF_INET or "." in address[0]
        else (socket.IPPROTO_IPV6, _IPV6_MTU, 48)
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            mtu = probe.getsockopt(level, option)
    except OSError:
        return SMALLEST_DATAGRAM
    return max(SMALLEST_DATAGRAM, min(LARGEST_DATAGRAM, mtu - headers))
