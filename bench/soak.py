"""Ten minutes of writes on a pair: memory by the minute, which must level off. `SECONDS=60` for a short one."""

from __future__ import annotations

import os
import time

from bench.http_load import document, load, put
from bench.report import keep
from tests.support.nodes import nodes

SECONDS = int(os.environ.get("SECONDS", "600"))


def main() -> None:
    path = "/api/v1/documents/soak/{}"
    samples = []
    written = 0
    with nodes(2) as (first, second):
        started = time.monotonic()
        while time.monotonic() - started < SECONDS:
            base = written
            load(
                first.api_port,
                4,
                lambda number, base=base: put(
                    first.api_port, path.format((base + number) % 5000), document(base + number)
                ),
                2000,
            )
            written += 2000
            samples.append(
                {
                    "seconds": round(time.monotonic() - started),
                    "mib": [
                        round(node.memory_bytes()["all"] / 2**20, 1) for node in (first, second)
                    ],
                }
            )
    half = [max(sample["mib"]) for sample in samples[len(samples) // 2 :]]
    early = [max(sample["mib"]) for sample in samples[: len(samples) // 2]]
    keep(
        "soak",
        {
            "writes": written,
            "max_mib_first_half": max(early or [0]),
            "max_mib_second_half": max(half),
            "ratio_second_to_first_half": round(max(half) / max(early or [1]), 3),
            "samples": samples[:: max(1, len(samples) // 20)],
        },
    )


if __name__ == "__main__":
    main()
