"""`peatnode` says the same of a real node through its sockets and through its API. The API asks for a token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from peatnode.cli.commands import run_cli
from peatnode.cli.exits import Exit
from tests.support.nodes import Node, nodes
from tests.support.processes import peatnode
from tests.support.waiting import wait

TOKEN = "a-token-of-these-tests"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """It is connected to one peer, and dials another by a name that does not resolve."""
    with nodes(2, start=False) as (first, second):
        first.settings["PEAT_STATIC_PEERS"] = f"127.0.0.1:{second.quic_port},no-such.invalid:11204"
        first.settings["PEAT_API_TOKEN"] = TOKEN
        for one in (first, second):
            one.launch()
        wait_for(first, lambda content: content["peers"] and content["peers"][0]["in_sync"])
        wait_for(first, lambda content: content["discovery"][0]["state"] == "failing")
        yield first


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command, in this process: with one for each of so many the tests take minutes. `status` leaves it to the end of
    its process to close its links."""
    if args[0] == "status":
        return peatnode(*args, **env)
    clean = {name: None for name in os.environ if name.startswith("PEAT_")}
    with CliRunner().isolation(env={**clean, **env}) as (output, errors, _):
        with pytest.raises(SystemExit) as ended:
            run_cli(args)
        sys.stdout.flush()
        sys.stderr.flush()
    texts = [stream.getvalue().decode() for stream in (output, errors)]
    return subprocess.CompletedProcess(args, int(ended.value.code or 0), *texts)


def local(node: Node, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run(*args, "--data-dir", str(node.directory), **env)


def remote(node: Node, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{node.api_port}"
    return run(*args, "--url", url, **{"PEAT_API_TOKEN": TOKEN, **env})


def wait_for(node: Node, is_so: Any) -> None:
    def is_reported() -> bool:
        try:
            return bool(is_so(json.loads(local(node, "status", "-o", "json").stdout)))
        except (ValueError, TypeError):
            return False  # it does not run yet, or that part of it does not answer

    wait(is_reported, "the report of `peatnode status`")


PASSING = {"taken_at", "uptime_secs", "stall_secs", "memory_bytes", "supervisor_memory_bytes"}
PASSING |= {
    "now",
    "age_secs",
    "last_equal",
    "failing_secs",
    "rtt_ms",
    "clock_offset",
    "disk_bytes",
    "disk_free_bytes",
}
"""What is another number each time that one looks."""

DURATION = re.compile(r"\(<?\d+ \w+( \d+ \w+)?\)")
"""What follows the time at which something began."""


def lasting(content: Any) -> Any:
    """The types only of what passes."""
    if isinstance(content, dict):
        return {
            name: isinstance(value, (int, float)) if name in PASSING else lasting(value)
            for name, value in content.items()
        }
    if isinstance(content, str):
        return DURATION.sub("(…)", content)
    return [lasting(item) for item in content] if isinstance(content, list) else content


def test_the_same_status(node: Node) -> None:
    here, there = local(node, "status", "-o", "json"), remote(node, "status", "-o", "json")
    assert here.returncode == there.returncode == 3  # a name cannot be resolved
    assert lasting(json.loads(here.stdout)) == lasting(json.loads(there.stdout))
    content = json.loads(there.stdout)
    assert [(one["name"], one["state"]) for one in content["discovery"]] == [("static", "failing")]
    assert "no-such.invalid" in content["discovery"][0]["message"]
    (finding,) = content["findings"]
    assert finding["message"].startswith("static finds only some peers since ")
    assert "no-such.invalid (" in finding["message"]
    assert [peer["connected"] for peer in content["peers"]] == [True]


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_same_page(node: Node, columns: str) -> None:
    pages = [
        [line.split()[:2] for line in way(node, "status", COLUMNS=columns).stdout.splitlines()]
        for way in (local, remote)
    ]
    assert pages[0] == pages[1]
    assert ["DISCOVERY", "state"] in pages[0]


@pytest.fixture(scope="module")
def things(node: Node) -> Node:
    """With 1,200 documents: more than a page of each listing."""
    lines = [json.dumps({"_id": f"d{n:04}", "n": n, "a": {"b": n % 3}}) for n in range(1200)]
    file = node.directory.parent / "things.ndjson"
    file.write_text("\n".join(lines))
    assert local(node, "import", "things", str(file)).returncode == 0
    return node


FOUND = {
    ("--where", "n>=1198"): ["d1198", "d1199"],
    ("--where", "n>=1195", "--where", "a.b = 0"): ["d1197"],
    ("--where", "n<3", "--sort", "-n"): ["d0002", "d0001", "d0000"],
    ("--sort", "a.b, -n", "--limit", "2"): ["d1197", "d1194"],
    ("--sort", "a.b", "--sort", "-n", "--limit", "2"): ["d1197", "d1194"],
    ("--prefix", "d00", "--where", "n>=98", "--fields", "n"): ["d0098", "d0099"],
    ("--where", "n>=0", "--limit", "0"): [f"d{n:04}" for n in range(1200)],
    ("--sort", "-n", "--limit", "0"): [f"d{n:04}" for n in reversed(range(1200))],
    ("--where", "n=none"): [],
}


@pytest.mark.parametrize("query", FOUND, ids=" ".join)
def test_a_query_finds_the_same(things: Node, query: tuple[str, ...]) -> None:
    for way in (local, remote):
        done = way(things, "doc", "list", "things", "--ids", *query, PEAT_API_TOKEN=TOKEN)
        assert (done.returncode, done.stdout.split()) == (0, FOUND[query]), done.stderr


def test_only_the_fields_asked_for(things: Node) -> None:
    asked = ("doc", "list", "things", "--where", "n=7", "--fields", "a.b")
    for way in (local, remote):
        done = way(things, *asked, "-o", "json", PEAT_API_TOKEN=TOKEN)
        assert json.loads(done.stdout) == {"_id": "d0007", "a": {"b": 1}}
        done = way(things, *asked, PEAT_API_TOKEN=TOKEN)
        assert done.stdout == 'd0007  {"a":{"b":1}}\n'


def test_one_document_is_followed_alone(things: Node) -> None:
    asked = ("doc", "watch", "things", "d0007", "--since", "0", "--count", "1", "-o", "json")
    here, there = local(things, *asked), remote(things, *asked)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert json.loads(here.stdout) == json.loads(there.stdout)
    assert json.loads(there.stdout)["value"] == {"n": 7, "a": {"b": 1}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--where", "n>=0"), "There may be more: --limit 0 lists all.\n"),
        (("--sort", "n"), "There are more: --limit 0 lists all (of 1,200).\n"),
        (("--prefix", "d0"), "There are more: --limit 0 lists all.\n"),
        (("--prefix", "d1199"), ""),
    ],
)
def test_that_there_is_more_is_said(things: Node, more: tuple[str, ...], said: str) -> None:
    for way in (local, remote):
        done = way(things, "doc", "list", "things", "--limit", "1", *more, PEAT_API_TOKEN=TOKEN)
        assert (len(done.stdout.splitlines()), done.stderr) == (1, said)


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        (("things", "--where", "n"), 1, "'n' is not a condition. Expected PATH OP VALUE"),
        (("things", "--where", ""), 1, "'' is not a condition"),
        (
            ("things", "--where", "n>true"),
            1,
            "> compares numbers or text, not booleans and null. (where)",
        ),
        (("things", "--sort", "a,,b"), 1, "'' is not a dotted path, such as address.city. (sort)"),
        (
            ("things", "--fields", "a..b"),
            1,
            "'a..b' is not a dotted path, such as address.city. (fields)",
        ),
        (("..", "--where", "n=1"), 1, "A collection name has 1 to 64"),
        (("--where", "n=1"), 2, "--where, --sort and --fields need a COLLECTION"),
        (("--prefix", "d"), 2, "--where, --sort and --fields need a COLLECTION"),
    ],
)
def test_a_query_that_cannot_be_is_one_sentence(
    things: Node, wrong: tuple[str, ...], status: int, said: str
) -> None:
    for way in (local, remote):
        done = way(things, "doc", "list", *wrong, PEAT_API_TOKEN=TOKEN)
        assert (done.returncode, done.stdout) == (status, "")
        assert said in done.stderr


def test_a_query_without_the_token_says_that_it_is_asked_for(things: Node) -> None:
    for way in (local, remote):
        done = way(things, "doc", "list", "things", "--sort", "n", PEAT_API_TOKEN="")
        assert (done.returncode, done.stdout) == (8, "")
        assert "token" in done.stderr.splitlines()[0]
        assert "Set PEAT_API_TOKEN, or PEAT_API_TOKEN_FILE" in done.stderr.splitlines()[1]
    assert local(things, "doc", "list", "things", "--prefix", "d").returncode == 0


FORGED = "a\u202ecod.exe\u2028b"
"""A name that a document can have, and that a terminal shows as another one."""

PRINTED = (
    ("list", "forged"),
    ("list", "forged", "-o", "json"),
    ("list", "forged", "--where", "n=1"),
    ("get", "forged", FORGED),
    ("get", "forged", FORGED, "-o", "json"),
    ("watch", "forged", "--since", "0", "--count", "1"),
    ("watch", "forged", "--since", "0", "--count", "1", "-o", "json"),
    ("delete", "forged", FORGED),
    ("deleted", "forged"),
    ("deleted", "forged", "-o", "json"),
    ("deleted", "forged", FORGED),
    ("undelete", "forged", FORGED),
    ("undelete", "forged", FORGED),
)


def printed(node: Node, *args: str) -> str:
    """All that a command prints, errors included."""
    done = local(node, *args, PEAT_API_TOKEN=TOKEN)
    return done.stdout + done.stderr


def test_no_name_and_no_value_forges_what_is_printed(node: Node) -> None:
    value = json.dumps({"n": 1, FORGED: ["\x9b31m\u2066", "\ufeff"]})
    for arguments in (("put", "forged", FORGED, value), *PRINTED):
        lines = printed(node, "doc", *arguments).split("\n")
        assert all(line.isprintable() for line in lines), arguments
        assert any("\ufffdcod.exe" in line or "\\u202ecod.exe" in line for line in lines), arguments
    # what a program reads is as it is
    assert printed(node, "doc", "list", "forged", "--ids") == f"{FORGED}\n"
    file = node.directory.parent / "forged.ndjson"
    printed(node, "export", "forged", str(file))
    assert FORGED in file.read_text()


def ended(node: Node, collection: str, *names: str) -> None:
    for name in names:
        assert local(node, "doc", "put", collection, name, '{"n":1}').returncode == 0
        assert local(node, "doc", "delete", collection, name).returncode == 0


LISTED = (("deleted",), ("deleted", "bin"), ("deleted", "bin", "a"), ("deleted", "bin", "never"))


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_same_deleted_documents(node: Node, output: str) -> None:
    ended(node, "bin", "a", "b")
    for arguments in LISTED:
        here, there = (way(node, "doc", *arguments, "-o", output) for way in (local, remote))
        assert here.returncode == there.returncode == (5 if "never" in arguments else 0)
        assert untimed(here.stdout) == untimed(there.stdout), arguments
        assert here.stderr == there.stderr


def untimed(text: str) -> str:
    return re.sub(r'"until": [0-9.]+|kept for .*', "", text)


def test_the_same_undeletion(node: Node) -> None:
    for number, way in enumerate((local, remote)):
        ended(node, f"pile{number}", "a", "b", "c")
        one = way(node, "doc", "undelete", f"pile{number}/a")
        assert one.stdout.startswith(f"undeleted pile{number}/a  change "), one.stderr
        again = way(node, "doc", "undelete", f"pile{number}", "a")
        assert again.returncode == 1
        assert f"pile{number}/a exists" in again.stderr
        rest = way(node, "doc", "undelete", "--all", "--since", "1h", f"pile{number}")
        assert rest.returncode == 0
        assert f"2 documents undeleted in pile{number} in" in rest.stderr
        assert json.loads(way(node, "doc", "get", f"pile{number}", "c").stdout) == {"n": 1}
        for wrong in (("--all",), ("--since", "1h"), ("--all", "--since", "1x"), ()):
            assert way(node, "doc", "undelete", f"pile{number}", *wrong).returncode == 2


@pytest.mark.parametrize("id", ["00" * 16, "not-an-id"])
@pytest.mark.parametrize(
    "command",
    [
        "quarantine drop",
        "quarantine accept",
        "conflicts dismiss",
        "conflicts show",
        "peers unblock",
    ],
)
def test_what_is_not_there_has_one_status(node: Node, command: str, id: str) -> None:
    for done in (local(node, *command.split(), id), remote(node, *command.split(), id)):
        assert (done.returncode, done.stdout) == (Exit.NOT_FOUND, "")
        assert done.stderr.startswith("peatnode: ")
