"""Bytes on disk: 10,000 documents of 200 bytes, and 10,000 overwrites of one.

A RocksDB of the bare values is measured for comparison.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.baselines import rocksdb_bytes
from bench.http_load import document, load, put
from bench.join import fill
from bench.report import keep
from tests.support.nodes import Node, nodes

COUNT = 10_000
QUIET_SECONDS = 10.0
"""After five seconds without writes the store flushes its log into sorted files."""


def data_bytes(node: Node) -> int:
    """Sizes of all files below the data directory but logs, which are the store's own and bounded."""
    files = [
        path
        for path in Path(node.directory).rglob("*")
        if path.is_file() and not path.name.startswith("LOG")
    ]
    return sum(path.stat().st_size for path in files)


def settled(node: Node) -> int:
    """After a stop and a start, which flush and compact; the store's files of an empty node are counted too."""
    node.stop()
    node.start()
    node.stop()
    return data_bytes(node)


def main() -> None:
    with nodes(3, start=False) as (empty, many, one):
        empty.start()
        nothing = settled(empty)
        many.start()
        fill(many, COUNT, 200)
        running = data_bytes(many)
        time.sleep(QUIET_SECONDS)
        quiet = data_bytes(many)
        each = (settled(many) - nothing) / COUNT
        one.start()
        path = "/api/v1/documents/disk/one"
        load(one.api_port, 16, lambda number: put(one.api_port, path, document(number)), COUNT)
        overwritten = settled(one) - nothing
    bare = rocksdb_bytes([document(number) for number in range(COUNT)]) / COUNT
    keep(
        "disk",
        {
            "bytes_a_document": round(each, 1),
            "bytes_a_document_just_written": round((running - nothing) / COUNT, 1),
            "bytes_a_document_after_10_quiet_seconds": round((quiet - nothing) / COUNT, 1),
            "bare_rocksdb_bytes_a_document": round(bare, 1),
            "ratio": round(each / bare, 2),
            "bytes_after_10000_overwrites": overwritten,
            "bytes_of_an_empty_node": nothing,
        },
    )


if __name__ == "__main__":
    main()
