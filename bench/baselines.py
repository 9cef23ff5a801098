"""The same work by the libraries alone: the denominators of the ratios of each benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived
from rocksdict import Options, Rdict, WriteBatch, WriteOptions

from tests.support.processes import free_port, is_listening, stop
from tests.support.waiting import wait

ASGI = """
BODY = b'{"collection":"bench","id":"1","document":' + b'{"pad":"' + b"x" * 190 + b'"}}'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
"""


@contextlib.contextmanager
def bare_asgi() -> Iterator[tuple[int, int]]:
    """(port, pid) of an ASGI application under uvicorn (uvloop, httptools) that answers 200 bytes to anything."""
    port = free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "bare.py").write_text(ASGI)
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "bare:app",
            "--port",
            str(port),
            "--no-access-log",
        ]
        process = subprocess.Popen(
            [
                *command,
                "--log-level",
                "error",
                "--loop",
                "uvloop",
                "--http",
                "httptools",
                "--lifespan",
                "off",
            ],
            cwd=directory,
        )
        try:
            wait(lambda: is_listening(port), "the bare ASGI application")
            yield port, process.pid
        finally:
            stop(process)


def rocksdb_puts(count: int, size: int, batch: int) -> float:
    """Synced puts a second of values of `size` bytes, `batch` in one write."""
    with tempfile.TemporaryDirectory() as directory:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        database = Rdict(directory, options)
        synced = WriteOptions()
        synced.sync = True
        database.set_write_options(synced)
        started = time.perf_counter()
        for first in range(0, count, batch):
            writes = WriteBatch(raw_mode=True)
            for number in range(first, min(first + batch, count)):
                writes.put(number.to_bytes(8, "big"), b"x" * size)
            database.write(writes, synced)
        taken = time.perf_counter() - started
        database.close()
    return count / taken


def rocksdb_bytes(values: list[bytes]) -> int:
    """Bytes on disk of a default RocksDB that holds the values, flushed and compacted."""
    with tempfile.TemporaryDirectory() as directory:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        database = Rdict(directory, options)
        for number, value in enumerate(values):
            database.put(number.to_bytes(8, "big"), value)
        database.flush()
        database.compact_range(None, None)
        database.close()
        return sum(path.stat().st_size for path in Path(directory).glob("*.sst"))


class _Echo(QuicConnectionProtocol):
    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            self._quic.send_stream_data(event.stream_id, event.data)
            self.transmit()


def _serve_echo(port: int, ready) -> None:
    async def run() -> None:
        configuration = QuicConfiguration(is_client=False, max_datagram_size=1200)
        with tempfile.TemporaryDirectory() as directory:
            cert, key = Path(directory) / "c.pem", Path(directory) / "k.pem"
            command = f"req -x509 -newkey ed25519 -nodes -keyout {key} -out {cert} -days 2 -subj /CN=localhost"
            subprocess.run(["openssl", *command.split()], check=True, capture_output=True)
            configuration.load_cert_chain(cert, key)
        await serve("127.0.0.1", port, configuration=configuration, create_protocol=_Echo)
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def quic_echo() -> Iterator[int]:
    """UDP port of a bare aioquic server that echoes streams."""
    port = free_port(socket.SOCK_DGRAM)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_serve_echo, args=(port, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(20):
            raise SystemExit("the bare QUIC server did not start")
        yield port
    finally:
        process.kill()
        process.join()


def quic_round_trips(port: int, count: int, size: int = 200) -> list[float]:
    """Seconds of each round trip of `size` bytes on one stream."""

    async def run() -> list[float]:
        configuration = QuicConfiguration(
            is_client=True, verify_mode=ssl.CERT_NONE, max_datagram_size=1200
        )
        taken = []
        async with connect("127.0.0.1", port, configuration=configuration, local_port=0) as client:
            reader, writer = await client.create_stream()
            for _ in range(count):
                started = time.perf_counter()
                writer.write(b"x" * size)
                await reader.readexactly(size)
                taken.append(time.perf_counter() - started)
        return taken

    return asyncio.run(run())


def quic_transfer(port: int, size: int) -> float:
    """Bytes a second there and back over one stream."""

    async def run() -> float:
        configuration = QuicConfiguration(
            is_client=True, verify_mode=ssl.CERT_NONE, max_datagram_size=1200
        )
        async with connect("127.0.0.1", port, configuration=configuration, local_port=0) as client:
            reader, writer = await client.create_stream()
            started = time.perf_counter()
            writer.write(b"x" * size)
            await reader.readexactly(size)
            return size / (time.perf_counter() - started)

    return asyncio.run(run())
