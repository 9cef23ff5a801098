"""Durable writes and reads a second over HTTP, with 1 and 16 clients.

A bare ASGI route and synced RocksDB puts are measured for comparison.
"""

from __future__ import annotations

from bench.baselines import bare_asgi, rocksdb_puts
from bench.http_load import document, get, load, put
from bench.report import keep, spread
from tests.support.nodes import Node, nodes

RUNS = 3
PATH = "/api/v1/documents/bench/{}"


def writes(node: Node, clients: int, count: int, run: int) -> dict[str, float]:
    return load(
        node.api_port,
        clients,
        lambda number: put(
            node.api_port, PATH.format(f"{clients}-{run}-{number}"), document(number + run)
        ),
        count,
    )


def reads(port: int, clients: int, count: int) -> dict[str, float]:
    return load(
        port, clients, lambda number: get(port, PATH.format(f"16-0-{number % 1000}")), count
    )


def main() -> None:
    with nodes(1) as (node,), bare_asgi() as (bare_port, _):
        results: dict[str, list[dict[str, float]]] = {}
        for run in range(RUNS):
            for name, measured in {
                "writes_1_client": lambda run=run: writes(node, 1, 1000, run),
                "writes_16_clients": lambda run=run: writes(node, 16, 6000, run),
                "reads_16_clients": lambda: reads(node.api_port, 16, 20000),
                "bare_asgi_1_client": lambda: reads(bare_port, 1, 5000),
                "bare_asgi_16_clients": lambda: reads(bare_port, 16, 20000),
            }.items():
                results.setdefault(name, []).append(measured())
    figures = {
        name: {
            "per_second": spread([run["per_second"] for run in runs]),
            "p50_ms": spread([run["p50_ms"] for run in runs]),
            "p99_ms": spread([run["p99_ms"] for run in runs]),
        }
        for name, runs in results.items()
    }
    figures["rocksdb_synced_puts"] = spread([rocksdb_puts(3000, 200, 1) for _ in range(RUNS)])
    rate = lambda name: figures[name]["per_second"]["median"]  # noqa: E731
    keep(
        "http_rates",
        figures
        | {
            "ratio_writes_1_to_bare_asgi": round(
                rate("writes_1_client") / rate("bare_asgi_1_client"), 3
            ),
            "ratio_writes_16_to_bare_asgi": round(
                rate("writes_16_clients") / rate("bare_asgi_16_clients"), 3
            ),
            "ratio_reads_16_to_bare_asgi": round(
                rate("reads_16_clients") / rate("bare_asgi_16_clients"), 3
            ),
        },
    )


if __name__ == "__main__":
    main()
