"""The listening sockets of a node, which are bound before any fork."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

from peatnode.config import Config
from peatnode.errors import BadConfiguration
from peatnode.supervision.workers import WORKERS

UNIX_SOCKETS = ("supervisor", *[spec.name for spec in WORKERS if spec.has_socket])
"""The Unix sockets in the run directory are named NAME.sock."""

_BACKLOG = 1024
_UDP_BUFFER = 4 * 1024 * 1024
"""Bytes. The kernel may limit it to a lower value."""


def bind_all(config: Config) -> dict[str, socket.socket]:
    """Binds all listening sockets: the Unix sockets in the run directory, `http` and `quic`. Returns them by name.
    Raises BadConfiguration."""
    bound: dict[str, socket.socket] = {}
    try:
        for name in UNIX_SOCKETS:
            bound[name] = _bind_unix(config.run_dir / f"{name}.sock")
        bound["http"] = _bind_tcp(config.broker_host, config.broker_port)
        bound["quic"] = _bind_udp(config.quic_host, config.quic_port)
    except BaseException:
        for sock in bound.values():
            sock.close()
        remove_unix_sockets(config.run_dir)
        raise
    return bound


def remove_unix_sockets(run_dir: Path) -> None:
    """Removes the sockets of a stopped node, because they would look to a client like a node that hangs."""
    for name in UNIX_SOCKETS:
        with contextlib.suppress(OSError):
            (run_dir / f"{name}.sock").unlink()


def _bind_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # left behind by a killed node; the lock proves that it has exited
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(_BACKLOG)
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_RUN_DIR: cannot listen on {str(path)!r}: {error.strerror or error}. "
            "Set a short path on a local file system."
        ) from None
    sock.setblocking(False)
    return sock


def _bind_tcp(host: str, port: int) -> socket.socket:
    sock = socket.socket(_family(host), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bind(sock, host, port, "PEAT_BROKER_HOST", "PEAT_BROKER_PORT")
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return sock


def _bind_udp(host: str, port: int) -> socket.socket:
    sock = socket.socket(_family(host), socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, _UDP_BUFFER)
    _bind(sock, host, port, "PEAT_QUIC_HOST", "PEAT_QUIC_PORT")
    sock.setblocking(False)
    return sock


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind(sock: socket.socket, host: str, port: int, host_name: str, port_name: str) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        match error.errno:
            case errno.EADDRINUSE:
                what = f"{port_name}={port} is in use on {host}: stop the process that uses it, or set another port."
            case errno.EACCES:
                what = f"{port_name}={port} is not allowed for this user: set a port above 1023."
            case _:
                what = f"{host_name}={host!r}: cannot listen there: {error.strerror}. Set an address of this machine."
        raise BadConfiguration(what) from None
