"""Bulk import of 100,000 documents of 200 bytes as NDJSON, durable, and the export of all of them.

Puts into a bare RocksDB are measured for comparison.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

from bench.baselines import rocksdb_puts
from bench.http_load import document
from bench.report import keep, spread
from tests.support.nodes import Node, nodes

COUNT = 100_000
RUNS = 3
LINES = 1000
"""Lines in one chunk of the request."""


def lines(collection_run: int) -> Iterator[bytes]:
    for first in range(0, COUNT, LINES):
        yield b"".join(
            b'{"_id":"%d",' % number + document(number + collection_run)[1:] + b"\n"
            for number in range(first, first + LINES)
        )


def import_all(node: Node, run: int) -> float:
    """Sends and reads at once, as curl does: the answers of the first lines come while the last are on their way."""
    prepared = list(lines(run))
    head = (
        f"POST /api/v1/documents/bulk{run}?bulk=true HTTP/1.1\r\nHost: 127.0.0.1:{node.api_port}\r\n"
        "Content-Type: application/x-ndjson\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", node.api_port), 300) as connection:
        started = time.perf_counter()
        reading = threading.Thread(target=read_answers, args=(connection,))
        reading.start()
        connection.sendall(head.encode())
        for block in prepared:
            connection.sendall(b"%x\r\n%b\r\n" % (len(block), block))
        connection.sendall(b"0\r\n\r\n")
        reading.join()
        taken = time.perf_counter() - started
    if node.get(f"/documents/bulk{run}?limit=1")["total"] != COUNT:
        raise SystemExit("not all documents are there")
    return COUNT / taken


def read_answers(connection: socket.socket) -> None:
    while connection.recv(1 << 18):
        pass


def export_all(node: Node, run: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=300)
    started = time.perf_counter()
    connection.request("GET", f"/api/v1/documents/bulk{run}?format=ndjson")
    answer = connection.getresponse()
    count = sum(block.count(b"\n") for block in iter(lambda: answer.read(1 << 18), b""))
    taken = time.perf_counter() - started
    connection.close()
    if count < COUNT:
        raise SystemExit(f"only {count} documents came back")
    return COUNT / taken


def main() -> None:
    with nodes(1) as (node,):
        imports, exports, bare = [], [], []
        for run in range(RUNS):
            imports.append(import_all(node, run))
            exports.append(export_all(node, run))
            bare.append(rocksdb_puts(COUNT, 200, 100))
        memory = round(node.memory_bytes()["all"] / 2**20, 1)
    ours, theirs = spread(imports), spread(bare)
    keep(
        "bulk",
        {
            "import_per_second": ours,
            "export_per_second": spread(exports),
            "rocksdb_batches_of_100_per_second": theirs,
            "ratio_import": round(ours["median"] / theirs["median"], 4),
            "memory_mib_after": memory,
        },
    )


if __name__ == "__main__":
    main()
