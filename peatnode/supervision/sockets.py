"""The listening sockets of a node, which are bound before any fork, and the lock on its data directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
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


def lock_data_dir(data_dir: Path) -> int:
    """Creates the directory if it is missing, and returns the descriptor of its lock.
    Raises BadConfiguration."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_DATA_DIR={str(data_dir)!r} cannot be written: {error.strerror}. "
            "Set a directory that this user may write to, or mount the volume writable."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise BadConfiguration(
            f"PEAT_DATA_DIR={str(data_dir)!r} is in use by another node (process {holder}): "
            "stop that node, or set another directory for this one."
        ) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_DATA_DIR={str(data_dir)!r} cannot be written: {error.strerror}. Free space on that file system."
        ) from None
    return lock


def make_run_dir(run_dir: Path) -> None:
    """Creates the directory of the Unix sockets with mode 0700.
    Raises BadConfiguration if it belongs to another user."""
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if run_dir.is_symlink():  # in /tmp another user could have created it
            raise BadConfiguration(
                f"PEAT_RUN_DIR={str(run_dir)!r} is a symbolic link: set the directory itself."
            )
        owner = run_dir.stat().st_uid
        if owner not in (os.getuid(), 0):
            raise BadConfiguration(
                f"PEAT_RUN_DIR={str(run_dir)!r} belongs to user {owner}: remove it or set another directory."
            )
        if owner == os.getuid():
            run_dir.chmod(0o700)
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_RUN_DIR={str(run_dir)!r} cannot be created: {error.strerror}."
        ) from None


def bind_all(config: Config) -> dict[str, socket.socket]:
    """Binds all listening sockets: the Unix sockets, `http` and `quic`. Returns them by name.
    Raises BadConfiguration."""
    make_run_dir(config.run_dir)
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
