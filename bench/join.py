"""A fresh node joins one that holds documents: documents a second until the fingerprints agree, bytes on the wire."""

from __future__ import annotations

import time
from pathlib import Path

from bench.baselines import quic_echo, quic_transfer
from bench.http_load import document, load, put
from bench.report import keep, spread
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait


def fill(node: Node, count: int, size: int) -> None:
    path = "/api/v1/documents/join/{}"
    load(
        node.api_port,
        16,
        lambda number: put(node.api_port, path.format(number), document(number, size)),
        count,
    )


def join(count: int, size: int) -> dict[str, float]:
    with nodes(2, start=False) as (full, fresh):
        full.start()
        fill(full, count, size)
        root = full.root()
        fresh.start()
        started = time.perf_counter()
        wait(lambda: fresh.is_connected(1), "the two to meet", pause=0.005)
        met = time.perf_counter()
        wait(lambda: fresh.root() == root, "the fingerprints to agree", 120, pause=0.01)
        ended = time.perf_counter()
        return {
            "per_second": count / (ended - met),
            "per_second_from_ready": count / (ended - started),
        }


def loopback_bytes() -> int:
    """Bytes sent over the loopback interface since boot, headers included."""
    line = next(
        line
        for line in Path("/proc/net/dev").read_text().splitlines()
        if line.strip().startswith("lo:")
    )
    return int(line.split()[1])


def wire_bytes(count: int, size: int) -> float:
    """Bytes on the wire a document, from start to agreement; it includes the few requests of this benchmark."""
    with nodes(2, start=False) as (full, fresh):
        full.start()
        fill(full, count, size)
        root = full.root()
        before = loopback_bytes()
        fresh.start()
        wait(lambda: fresh.root() == root, "the fingerprints to agree", 120, pause=0.5)
        return (loopback_bytes() - before) / count


def main() -> None:
    figures = {}
    for count, size in ((10_000, 200), (1_000, 10_000)):
        runs = [join(count, size) for _ in range(3)]
        each = {name: spread([run[name] for run in runs]) for name in runs[0]}
        on_wire = round(wire_bytes(count, size), 1)
        figures[f"{count}_of_{size}_bytes"] = each | {"wire_bytes_each": on_wire}
    with quic_echo() as port:
        bare = spread([quic_transfer(port, 2_000_000) for _ in range(3)])
    size = figures["10000_of_200_bytes"]
    ours = size["per_second"]["median"] * 200
    keep(
        "join",
        figures
        | {
            "bare_quic_bytes_per_second": bare,
            "ratio_payload_to_bare": round(ours / bare["median"], 3),
        },
    )


if __name__ == "__main__":
    main()
