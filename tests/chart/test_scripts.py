"""Deploy scripts with stand-ins for docker, k3d, kubectl and helm: what they call, and what they say."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
K3D = ROOT / "chart" / "scripts" / "k3d.sh"
TOOLS = ("docker", "k3d", "kubectl", "helm")
SYSTEM = (
    *("awk", "base64", "bash", "cat", "chmod", "date", "dirname", "git", "grep", "head"),
    *("mkdir", "mv", "rm", "sed", "sleep", "touch", "tr"),
)

# Each writes its command line to a file; clusters and Secrets are files too, so that the second call
# finds what the first one made.
STAND_INS = {
    "docker": """
        case "$1 $2" in
            "info "*) [ ! -e "$STATE/engine-stopped" ] ;;
            "image inspect") echo sha256:abc ;;
        esac""",
    "k3d": """
        case "$1 $2" in
            "cluster list")
                for c in "$STATE"/cluster-*; do
                    [ ! -e "$c" ] || echo "${c##*cluster-} 1/1 0/0 false"
                done ;;
            "cluster create") touch "$STATE/cluster-$3" ;;
            "cluster delete") rm "$STATE/cluster-$3" ;;
        esac""",
    "kubectl": """
        case "$*" in
            *"get secret"*) [ -e "$STATE/secret" ] ;;
            *"create secret"*) all=$*; cat "${all##*formation-secret=}" >"$STATE/secret" ;;
            *"peatnode status"*) [ ! -e "$STATE/unhealthy" ] && echo "healthy, 2 peers" ;;
            *"apply -f -"*) cat >/dev/null ;;
        esac""",
    "helm": "true",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A directory of programs that is the whole PATH, and their state."""

    bin: Path
    state: Path

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(K3D), command],
            env={
                "PATH": str(self.bin),
                "HOME": str(self.state),
                "STATE": str(self.state),
                "STATE_DIR": str(self.state / "kept"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        log = self.state / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def called(self, start: str) -> list[str]:
        return [call for call in self.calls if call.startswith(start)]

    @property
    def secret_file(self) -> Path:
        return self.state / "kept" / "peat.formation-secret"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "bin", tmp_path / "state")
    made.bin.mkdir()
    made.state.mkdir()
    for name in SYSTEM:
        path = shutil.which(name)
        assert path is not None, name
        (made.bin / name).symlink_to(path)
    for name, body in STAND_INS.items():
        program = made.bin / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>"$STATE/calls"\n{body}\n')
        program.chmod(0o755)
    return made


@pytest.mark.parametrize("tool", TOOLS)
def test_a_missing_tool_is_named_with_the_way_to_get_it(machine: Machine, tool: str) -> None:
    (machine.bin / tool).unlink()
    done = machine.run("deploy")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tool} is missing: install")
    assert "https://" in done.stderr
    assert machine.called("k3d cluster") == []


def test_all_missing_tools_are_named_at_once(machine: Machine) -> None:
    (machine.bin / "k3d").unlink()
    (machine.bin / "helm").unlink()
    said = machine.run("deploy").stderr
    assert "k3d is missing" in said
    assert "helm is missing" in said


def test_an_engine_that_does_not_answer(machine: Machine) -> None:
    (machine.state / "engine-stopped").touch()
    done = machine.run("deploy")
    assert done.returncode == 1
    assert "its engine does not answer" in done.stderr


def test_deploy_builds_creates_imports_installs_and_shows(machine: Machine) -> None:
    done = machine.run("deploy", REPLICAS="4", API_PORT="9090", IMAGE="mesh:1")
    assert done.returncode == 0, done.stderr
    order = [
        "docker build",
        "k3d cluster create",
        "k3d image import",
        "helm upgrade --install",
        "kubectl",
    ]
    positions = [
        min(i for i, call in enumerate(machine.calls) if call.startswith(o)) for o in order[:4]
    ]
    assert positions == sorted(positions)
    (create,) = machine.called("k3d cluster create peat")
    assert "127.0.0.1:9090:30081@server:0:direct" in create
    assert "--api-port 127.0.0.1:" in create
    (install,) = machine.called("helm upgrade --install peat-mesh")
    for part in (
        "replicaCount=4",
        "image.repository=mesh",
        "image.tag=1",
        "--kube-context k3d-peat",
    ):
        assert part in install
    assert "healthy, 2 peers" in done.stdout
    assert "API: http://127.0.0.1:9090/" in done.stdout


def test_the_secret_is_made_once_kept_and_shown_to_nobody(machine: Machine) -> None:
    assert machine.run("deploy").returncode == 0
    first = machine.secret_file.read_text()
    assert stat.S_IMODE(machine.secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(machine.secret_file.parent.stat().st_mode) == 0o700
    assert (machine.state / "secret").read_text() == first
    second = machine.run("deploy")
    assert machine.secret_file.read_text() == first
    assert len(machine.called("kubectl --context k3d-peat --namespace default create secret")) == 1
    assert all(first not in call for call in machine.calls)
    assert first not in second.stdout + second.stderr


def test_the_secret_of_the_cluster_wins(machine: Machine) -> None:
    (machine.state / "secret").write_text("already there")
    assert machine.run("deploy").returncode == 0
    assert not machine.secret_file.exists()


def test_a_second_deploy_is_an_upgrade(machine: Machine) -> None:
    assert machine.run("deploy").returncode == 0
    assert machine.run("deploy").returncode == 0
    assert len(machine.called("k3d cluster create")) == 1
    assert len(machine.called("helm upgrade --install")) == 2


def test_redeploy_restarts_one_by_one(machine: Machine) -> None:
    assert machine.run("deploy").returncode == 0
    before = len(machine.calls)
    assert machine.run("redeploy").returncode == 0
    calls = machine.calls[before:]
    restart = next(
        i for i, call in enumerate(calls) if "rollout restart statefulset/peat-mesh" in call
    )
    assert any(call.startswith("docker build") for call in calls[:restart])
    assert any(call.startswith("k3d image import") for call in calls[:restart])
    assert any("rollout status statefulset/peat-mesh" in call for call in calls[restart:])


def test_redeploy_without_a_cluster_says_what_to_do(machine: Machine) -> None:
    done = machine.run("redeploy")
    assert done.returncode == 1
    assert "make deploy-k3d" in done.stderr


def test_undeploy_twice_is_no_error_and_keeps_the_secret(machine: Machine) -> None:
    assert machine.run("deploy").returncode == 0
    first = machine.run("undeploy")
    assert first.returncode == 0
    assert str(machine.secret_file) in first.stdout
    second = machine.run("undeploy")
    assert second.returncode == 0
    assert "there is no cluster peat" in second.stdout
    assert machine.secret_file.exists()


def test_stop_and_start(machine: Machine) -> None:
    assert machine.run("deploy").returncode == 0
    assert machine.run("stop").returncode == 0
    assert machine.run("start").returncode == 0
    assert machine.called("k3d cluster stop peat")
    assert machine.called("k3d cluster start peat")


def test_names_are_variables(machine: Machine) -> None:
    done = machine.run("deploy", CLUSTER="other", NAMESPACE="ns", RELEASE="mesh")
    assert done.returncode == 0, done.stderr
    assert machine.called("k3d cluster create other")
    assert machine.called("helm upgrade --install mesh")
    assert machine.called(
        "kubectl --context k3d-other --namespace ns rollout status statefulset/mesh"
    )


def test_make_passes_the_variables_on() -> None:
    done = subprocess.run(
        ["make", "-n", "-f", "chart/deploy.mk", "deploy-k3d", "CLUSTER=x", "REPLICAS=7", "API_PORT=1"],
        cwd=ROOT, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert "CLUSTER='x'" in done.stdout
    assert "REPLICAS='7'" in done.stdout
    assert "API_PORT='1'" in done.stdout


SCRIPTS = sorted([*(ROOT / "chart/scripts").glob("*.sh"), *(ROOT / "tests/e2e").glob("*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", str(script)], check=True)
    first_lines = script.read_text()
    if script.stat().st_mode & stat.S_IXUSR:
        assert "set -euo pipefail" in first_lines or (shell == "sh" and "set -eu" in first_lines)
    checker = shutil.which("shellcheck")
    if checker:
        done = subprocess.run(
            [checker, "-x", str(script)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
