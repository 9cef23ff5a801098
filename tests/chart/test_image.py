"""What is known of the image without building it: what gets in, from where, and that nothing needed is taken out."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKS = [ROOT / ".ci" / "requirements.lock", ROOT / ".ci" / "build.lock"]
SLIM = (ROOT / "chart" / "scripts" / "slim.sh").read_text()
# Import names that differ from the names of their packages.
IMPORT_NAMES = {"python-dateutil": "dateutil", "pyyaml": "yaml", "websocket-client": "websocket"}


def imported() -> set[str]:
    names = set()
    for path in [*(ROOT / "peatnode").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return names


def test_nothing_that_is_taken_out_is_imported() -> None:
    found = re.search(r'UNUSED_PACKAGES="([^"]*)"', SLIM)
    assert found
    gone = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in found[1].split()}
    assert not {name.split(".")[0] for name in imported()} & gone
    # By name only, as in workers/discovery/kubernetes/service_account.py: importing it would load all of the client.
    assert not {name for name in imported() if name.split(".")[0] == "kubernetes"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_version_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", "\n".join(x for x in text.splitlines() if x[:1] != "#"))
    assert blocks
    for block in blocks:
        assert re.match(r"^[a-z0-9.-]+==[^ ]+ ", block), block
        assert "--hash=sha256:" in block


def test_the_lock_holds_what_setup_cfg_asks_for() -> None:
    setup = (ROOT / "setup.cfg").read_text()
    required = re.search(r"install_requires =\n((?:    .*\n)+)", setup)
    assert required
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", LOCKS[0].read_text(), re.MULTILINE))
    for line in required[1].split("\n"):
        name = re.match(r"\s*([A-Za-z0-9_.-]+)", line)
        if name:
            assert name[1].lower().replace("_", "-") in locked, f"{name[1]}: make lock"


def test_it_builds_with_the_legacy_builder() -> None:
    for only_buildkit in ("--mount", "--link", "--chmod", "<<", "# syntax"):
        assert only_buildkit not in DOCKERFILE


def test_it_ends_locked_up() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert last.startswith("\nFROM scratch\n")
    assert "\nUSER 10001:10001\n" in last
    assert '\nENTRYPOINT ["tini", "--", "peatnode"]\n' in last
    assert "HEALTHCHECK" in last
    assert "org.opencontainers.image.revision" in last
    assert "RUN" not in last


def test_what_gets_into_the_build_is_named() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    for wanted in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in wanted.split()[:-1]:
            assert any(f"!{source}".startswith(rule) for rule in rules if rule[0] == "!"), source


def test_sbom_lists_what_runs_it() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "chart/scripts/sbom.py"), "peatnode:latest"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"bomFormat": "CycloneDX"' in done.stdout
    assert '"purl": "pkg:pypi/cryptography@' in done.stdout
    assert '"purl": "pkg:generic/python@' in done.stdout
