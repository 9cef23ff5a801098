"""What needs no node: help, keys, configuration, bad input. Through click's runner or the real command."""

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peatnode.cli.commands import COMMANDS, cli
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.config import VARIABLES

SECRET = base64.b64encode(hashlib.sha256(b"a formation of the tests").digest()).decode()


def run(*args: str, env: dict[str, str | None] | None = None, input: str = "") -> Result:
    clean = {name: None for name in os.environ if name.startswith("PEAT_")}
    return CliRunner().invoke(cli, args, env={**clean, **(env or {})}, input=input)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: cli {name}" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_each_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_PEATNODE_COMPLETE" in result.output


def test_completion_knows_the_commands() -> None:
    words = {"COMP_WORDS": "peatnode do", "COMP_CWORD": "1"}
    env = {**os.environ, "_PEATNODE_COMPLETE": "bash_complete", **words}
    command = [sys.executable, "-m", "peatnode.cli"]
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["plain,doc"]


def test_completion_knows_the_options_of_a_query() -> None:
    words = {"COMP_WORDS": "peatnode doc list --", "COMP_CWORD": "3"}
    env = {**os.environ, "_PEATNODE_COMPLETE": "bash_complete", **words}
    command = [sys.executable, "-m", "peatnode.cli"]
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert {"plain,--where", "plain,--sort", "plain,--fields"} <= set(found.stdout.split())


PEATNODE = f"{sys.executable} -m peatnode.cli"


def test_output_that_cannot_be_written_is_told_in_a_sentence() -> None:
    command = f"{PEATNODE} completion bash > /dev/full"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert found.stderr == "peatnode: the output cannot be written: No space left on device\n"
    assert found.returncode == Exit.FAILED


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(closed: str) -> None:
    command = f"{PEATNODE} completion bash {closed}"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (found.stderr, found.returncode) == ("", Exit.OK)


def test_no_file_takes_the_place_of_a_closed_stream() -> None:
    code = (
        "from peatnode.cli.terminal.streams import open_closed_streams; "
        "open_closed_streams(); assert open('/dev/null').fileno() > 2"
    )
    command = f'{sys.executable} -c "{code}" <&- >&- 2>&-'
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_a_new_secret_each_time() -> None:
    made = {run("secret").output for _ in range(3)}
    assert len(made) == 3
    assert all(len(base64.b64decode(secret, validate=False)) == 32 for secret in made)


def test_a_secret_in_a_file_is_readable_by_its_owner_alone_and_never_replaced(
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    assert run("secret", "--out", str(file)).output == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    result = run("secret", "--out", str(file))
    assert result.exit_code == 1
    assert "already exists and was not changed" in result.stderr
    assert file.read_text() == kept
    assert os.listdir(tmp_path) == ["secret"]


def test_identity_is_the_same_from_every_source(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    env: dict[str, str | None] = {"HOSTNAME": "a", "PEAT_CLUSTER": "east"}
    outputs = {
        run("identity", env={**env, "PEAT_FORMATION_SECRET": SECRET}).output,
        run("identity", env={**env, "PEAT_FORMATION_SECRET_FILE": str(file)}).output,
        run("identity", "a", "--cluster", "east", "--secret-file", str(file)).output,
        run("identity", "--secret-file", "-", env=env, input=SECRET).output,
    }
    assert len(outputs) == 1
    assert "node id      a.east" in outputs.pop()


def test_identity_as_json() -> None:
    result = run("identity", "b", "-o", "json", env={"PEAT_FORMATION_SECRET": SECRET})
    content = json.loads(result.output)
    assert content["node_id"] == "b"
    assert re.fullmatch("[0-9a-f]{32}", content["device_id"])
    assert re.fullmatch("[0-9a-f]{64}", content["endpoint_id"])


@pytest.mark.parametrize(
    "secret", ["", "AAAA", "not base64!", base64.b64encode(b"correct horse battery").decode()]
)
def test_without_a_good_secret_there_is_no_identity(secret: str) -> None:
    result = run("identity", "b", "--secret-file", "-", input=secret)
    assert result.exit_code == Exit.CONFIGURATION
    assert "secret" in result.stderr.lower()


def test_config_says_what_is_set_and_where_and_hides_secrets() -> None:
    env: dict[str, str | None] = {
        "PEAT_FORMATION_SECRET": SECRET,
        "PEAT_DATA_DIR": "/d",
        "HOSTNAME": "h",
        "PEAT_API_TOKEN": "0123456789abcdef",
    }
    result = run("config", env=env)
    assert result.exit_code == 0
    assert SECRET not in result.output
    assert "0123456789abcdef" not in result.output
    assert re.search(r"PEAT_DATA_DIR +/d +environment PEAT_DATA_DIR", result.output)
    content = json.loads(run("config", "-o", "json", env=env).output)
    assert content["PEAT_BROKER_PORT"] == {"value": "8081", "origin": "default"}


def test_bad_configuration_is_one_sentence_and_78() -> None:
    result = run("config", env={"PEAT_FORMATION_SECRET": SECRET, "PEAT_BROKER_PORT": "99999"})
    assert result.exit_code == Exit.CONFIGURATION
    assert "PEAT_BROKER_PORT" in result.stderr
    assert "Traceback" not in result.output


def test_run_has_a_flag_for_each_variable_but_none_that_takes_a_secret() -> None:
    help = run("run", "--help").output
    for variable in VARIABLES:
        assert variable.name in help
        flag = "--" + variable.name.removeprefix("PEAT_").lower().replace("_", "-")
        assert f"{flag}{'-file' if variable.is_secret else ''} " in help
        assert not variable.is_secret or f"{flag} " not in help


def test_run_stops_at_a_bad_flag_with_a_sentence() -> None:
    result = run("run", "--broker-port", "x", env={"PEAT_FORMATION_SECRET": SECRET})
    assert result.exit_code == Exit.CONFIGURATION
    assert "--broker-port" in result.stderr


def test_version() -> None:
    assert re.match(r"peatnode \d+\.\d+", run("version").output)


def test_version_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from peatnode.cli.commands import cli; cli(['version'], standalone_mode=False);"
        "print([name for name in ('asyncio', 'httpx', 'rich', 'structlog', 'cryptography') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"a": NaN}', "not JSON: unexpected character, expected a JSON value (line 1, column 7)"),
        ("", "The body is empty"),
        ("@/nonexistent", "/nonexistent cannot be read"),
        ("[" * 100_000, "Objects and arrays nest deeper than 60 levels"),
    ],
)
def test_a_bad_body_is_refused_before_anybody_is_asked(body: str, sentence: str) -> None:
    result = run("doc", "put", "c", "i", body, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.startswith("peatnode: ") or isinstance(result.exception, CliError)


def test_no_node_anywhere_is_said_with_what_to_do(tmp_path: Path) -> None:
    result = run("status", "--data-dir", str(tmp_path))
    assert result.exit_code == Exit.UNREACHABLE
    assert "no node runs" in result.stderr
    assert "--url" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://x", "http://x:port"])
def test_a_url_that_is_none(url: str) -> None:
    result = run("status", "--url", url)
    assert result.exit_code == Exit.USAGE
    assert "is not an address like http://127.0.0.1:8081" in result.stderr


def test_a_url_and_a_directory_are_two_nodes() -> None:
    assert run("status", "--url", "http://x", "--data-dir", "/d").exit_code == Exit.USAGE
