"""Finds promtool, or gets it, and asks it which alerts fire and what expressions are worth."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

PACKAGE = "prometheus"
"""Of Debian; it is unpacked, and not installed."""


@cache
def promtool() -> str:
    """Path of promtool: PROMTOOL, or from PATH, or taken from Debian's package once and kept in a cache."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found:
        return found
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "peatnode" / "chart-tests" / f"{PACKAGE}-{platform.machine()}" / "promtool"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            download_promtool(Path(work)).replace(kept)  # another process may do the same
    return str(kept)


def download_promtool(work: Path) -> Path:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("promtool is not installed, and there is no apt-get to get it with")
    lists = ["-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    get = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"]
    failures = ""
    for steps in ([["download"]], [[*lists, "update"], [*lists, "download"]]):
        done = [
            subprocess.run(
                [*get, *step, *([PACKAGE] if step[-1] == "download" else [])],
                cwd=work,
                capture_output=True,
                text=True,
                check=False,
            )
            for step in steps
        ]
        failures += "".join(step.stderr for step in done)
        packages = list(work.glob(f"{PACKAGE}_*.deb"))
        if packages:
            subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(work / "files")], check=True)
            return work / "files" / "usr" / "bin" / "promtool"
    pytest.skip(
        f"promtool is not installed, and its package could not be fetched: {failures[-300:]}"
    )


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of a metric, one a minute, in promtool's notation: `1x10` is eleven times 1, `0 1 stale` ends."""

    name: str
    labels: Mapping[str, str]
    values: str

    def encoded(self) -> dict[str, str]:
        return {"series": f"{self.name}{selector(self.labels)}", "values": self.values}


def selector(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)


class PromtoolFiles:
    """The rules in a folder, and what is asked about them."""

    def __init__(self, folder: Path, groups: list[dict[str, Any]]) -> None:
        self._folder = folder
        self.rules = folder / "rules.yaml"
        self.rules.write_text(yaml.safe_dump({"groups": groups}))

    def expect(
        self,
        series: list[Series],
        minute: int,
        expression: str,
        samples: Mapping[str, float],
    ) -> None:
        """Checks the samples of an expression after some minutes, by their labels."""
        wanted = [{"labels": name, "value": value} for name, value in samples.items()]
        asked = {
            "interval": "1m",
            "input_series": [one.encoded() for one in series],
            "promql_expr_test": [
                {"expr": expression, "eval_time": f"{minute}m", "exp_samples": wanted}
            ],
        }
        file = self._folder / "asked.yaml"
        content = {
            "rule_files": [str(self.rules)],
            "evaluation_interval": "1m",
            "tests": [asked],
        }
        file.write_text(yaml.safe_dump(content))
        done = run("test", "rules", str(file))
        assert done.returncode == 0, done.stdout + done.stderr
