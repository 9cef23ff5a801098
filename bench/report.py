"""Summaries of figures, and how every benchmark prints and keeps them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from pathlib import Path


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most of several runs."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "runs": len(values),
    }


def keep(name: str, figures: dict) -> None:
    """Prints the figures and keeps them as `bench/results/NAME.json`."""
    figures = {
        "benchmark": name,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        **figures,
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if "--no-keep" not in sys.argv:
        (Path(__file__).with_name("results") / f"{name}.json").write_text(text + "\n")
