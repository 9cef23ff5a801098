"""An idle pair with 10,000 documents over 60 s, and the memory of an empty and a full node.

A bare idle server is measured for comparison.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.baselines import bare_asgi
from bench.join import fill
from bench.report import keep
from tests.support.nodes import nodes
from tests.support.waiting import wait

SECONDS = 60


def bare_cpu(pid: int) -> float:
    total = sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
    return total / 1e9


def bare_memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(
        int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")
    )


def main() -> None:
    with nodes(2) as pair, bare_asgi() as (_, pid):
        time.sleep(10)  # imports and first rounds are over
        empty = [node.memory_bytes() for node in pair]
        fill(pair[0], 10_000, 200)
        wait(lambda: pair[0].root() == pair[1].root(), "the pair to agree", 120)
        time.sleep(20)  # compaction, recycling
        before = [*[node.cpu_seconds() for node in pair], bare_cpu(pid)]
        time.sleep(SECONDS)
        after = [*[node.cpu_seconds() for node in pair], bare_cpu(pid)]
        full = [node.memory_bytes() for node in pair]
        shares = [100 * (late - early) / SECONDS for early, late in zip(before, after, strict=True)]
        mib = lambda sizes: {name: round(size / 2**20, 1) for name, size in sizes.items()}  # noqa: E731
        keep(
            "idle",
            {
                "percent_of_a_core": [round(share, 3) for share in shares[:2]],
                "bare_asgi_percent_of_a_core": round(shares[2], 3),
                "ratio_to_bare": round(max(shares[:2]) / max(shares[2], 1e-6), 2),
                "memory_mib_empty": [mib(sizes) for sizes in empty],
                "memory_mib_10000_documents": [mib(sizes) for sizes in full],
                "bare_asgi_memory_mib": round(bare_memory(pid) / 2**20, 1),
            },
        )


if __name__ == "__main__":
    main()
