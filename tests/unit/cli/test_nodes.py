import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.nodes import find_run_dir, is_served, run_dirs
from peatnode.cli.target import LocalNode, find_target
from peatnode.config import default_run_dir, run_dir_choices


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the data of two nodes of `dev` and one of `mesh`."""
    monkeypatch.chdir(tmp_path)
    for name in ("peat-mesh-2", "peat-mesh-1", "mesh/peat-mesh-0"):
        os.makedirs(tmp_path / ".data" / name)
    return tmp_path


@pytest.mark.parametrize(
    ("data_dir", "env", "found"),
    [
        ("d", {"PEAT_DATA_DIR": "/e", "PEAT_RUN_DIR": "/r"}, ["{here}/d/run"]),
        ("", {"PEAT_DATA_DIR": "/e", "PEAT_RUN_DIR": "/r"}, ["/r"]),
        ("", {"PEAT_DATA_DIR": "/e"}, ["/e/run"]),
        (
            "",
            {},
            [
                "/data/run",
                "{here}/.data/run",
                "{here}/.data/peat-mesh-1/run",
                "{here}/.data/peat-mesh-2/run",
                "{here}/.data/mesh/peat-mesh-0/run",
            ],
        ),
    ],
)
def test_where_a_node_of_this_machine_is_searched(
    directory: Path, data_dir: str, env: Mapping[str, str], found: list[str]
) -> None:
    expected = [Path(path.format(here=directory)) for path in found]
    if data_dir or not env:
        expected = [default_run_dir(path.parent) for path in expected]
    assert list(run_dirs(data_dir, env)) == expected


def test_sockets_outside_of_the_data_are_trusted_only_with_their_owner(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    inside, outside = run_dir_choices(data)
    assert list(run_dirs(str(data), {})) == [inside]
    outside.mkdir()
    try:
        assert list(run_dirs(str(data), {})) == [inside, outside]
        if os.geteuid() == 0:
            os.chown(outside, 12_345, -1)
            assert list(run_dirs(str(data), {})) == [inside]
            os.chown(data, 12_345, -1)  # the node runs as this user
            assert list(run_dirs(str(data), {})) == [inside, outside]
    finally:
        outside.rmdir()


def test_a_socket_file_that_no_process_serves_is_no_node() -> None:
    os.mkdir("run")
    path = Path("run/supervisor.sock")
    env = {"PEAT_RUN_DIR": "run"}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("run/supervisor.sock")
        listener.listen()
        assert is_served(path)
        assert find_target("", "", env) == LocalNode(Path("run"))
    assert path.exists()
    assert not is_served(path)
    with pytest.raises(CliError, match=r"no node runs on this machine \(searched run\)") as raised:
        find_run_dir("", env)
    assert raised.value.exit_code == Exit.UNREACHABLE


def test_a_secret_that_is_refused_is_told_where_no_node_runs(tmp_path: Path) -> None:
    env = {"PEAT_RUN_DIR": str(tmp_path), "PEAT_FORMATION_SECRET": "A" * 44}
    with pytest.raises(CliError, match="no node runs") as raised:
        find_run_dir("", env)
    assert "`peatnode secret`" in raised.value.advice
