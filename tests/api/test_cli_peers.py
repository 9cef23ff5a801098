"""`peatnode peers`, `leave` and `conflicts`: the same through the sockets of a node and through its API."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peatnode.cli.commands import cli
from peatnode.cli.exits import Exit
from peatnode.cli.peers.command import peers as peers_group
from tests.api.conftest import API_TOKEN, READ_TOKEN, Serve, Served
from tests.api.test_node import peer
from tests.api.test_peers import EVENTS, absent_peer
from tests.support.memory_node import kept_conflict, quarantined

WAYS = ("local", "remote")


def target(served: Served, way: str) -> dict[str, str]:
    if way == "local":
        return {"PEAT_RUN_DIR": str(served.node.run_dir)}
    return {"PEAT_URL": f"http://127.0.0.1:{served.port}"}


async def run(served: Served, way: str, *args: str, **env: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("PEAT_")}
    variables: dict[str, str | None] = {**clean, "COLUMNS": "120", **target(served, way), **env}
    return await asyncio.to_thread(CliRunner().invoke, cli, args, env=variables)


@pytest.fixture
async def mesh(served: Served) -> Served:
    """One peer is connected, and two are absent."""
    now = time.time()
    first, second = (
        replace(absent_peer(name), absent_since=now - 3600, failing_since=now - 60, last_equal=now)
        for name in ("peat-mesh-2", "peat-mesh-3")
    )
    served.node.peers = (peer("peat-mesh-1"), first, second)
    served.node.peer_log = EVENTS
    return served


@pytest.mark.parametrize("way", WAYS)
async def test_the_list(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers")
    assert done.exit_code == Exit.OK
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["PEER", "state", "sync"]
    assert lines[2].split()[:4] == ["peat-mesh-2", "absent", "1", "h"]
    assert "1 of 3 peers connected, 1 in sync" in lines
    assert "peat-mesh-2 cannot be reached for 1 min: connection refused" in lines


@pytest.mark.parametrize("way", WAYS)
async def test_ages_count_by_the_clock_of_the_node(mesh: Served, way: str) -> None:
    mesh.node.now = mesh.node.peers[1].absent_since + 7201
    assert "absent 2 h" in (await run(mesh, way, "peers")).stdout


async def test_json_is_the_same_both_ways_and_on_all_places_of_the_option(mesh: Served) -> None:
    found = [
        (await run(mesh, way, "peers", *args)).stdout
        for way in WAYS
        for args in (("--json",), ("-o", "json"), ("list", "--json"), ("--json", "list"))
    ]
    assert len(set(found)) == 1
    (first, *_) = found
    assert [one["state"] for one in json.loads(first)] == ["connected", "absent", "absent"]


@pytest.mark.parametrize("way", WAYS)
async def test_the_log(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers", "log", TZ="UTC")
    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    assert lines[0] == ["TIME", "peer", "event", "detail"]
    assert [line[2:] for line in lines[1:]] == [
        ["n2", "connected", "127.0.0.1:1"],
        ["n2", "disconnected", "no answer for 15 s"],
    ]
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(10))
    assert " ".join(lines[1][:2]) == at
    content = json.loads((await run(mesh, way, "peers", "log", "--json")).stdout)
    assert content[0] == {"time": 10.0, "peer": "n2", "kind": "connected", "detail": "127.0.0.1:1"}
    assert json.loads((await run(mesh, way, "peers", "log", "n3", "--json")).stdout) == []


@pytest.mark.parametrize("way", WAYS)
async def test_forgetting(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers", "forget", "peat-mesh-2", "peat-mesh-3")
    assert (done.exit_code, done.stderr) == (Exit.OK, "")
    assert done.stdout.splitlines()[0].startswith("peat-mesh-2 is forgotten, here and on")
    assert [one.id for one in mesh.node.peers] == ["peat-mesh-1"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_node_that_has_just_started_is_asked_again(mesh: Served, way: str) -> None:
    mesh.node.not_yet = 2
    assert (await run(mesh, way, "peers", "forget", "peat-mesh-2")).exit_code == Exit.OK
    assert mesh.node.not_yet == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_name_that_nobody_has(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers", "forget", "peat-mehs-2")
    assert done.exit_code == Exit.NOT_FOUND
    assert "his node remembers no peer 'peat-mehs-2'" in done.stderr
    assert "Did you mean peat-mesh-2 or peat-mesh-3?" in done.stderr
    done = await run(mesh, way, "peers", "forget", "x")
    assert "Did you mean" not in done.stderr
    assert "`peatnode peers` lists the peers." in done.stderr


@pytest.mark.parametrize("way", WAYS)
async def test_a_connected_peer(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers", "forget", "peat-mesh-1")
    assert done.exit_code == Exit.FAILED
    assert "peat-mesh-1 is connected" in done.stderr
    assert "`peatnode leave` on its machine" in done.stderr
    assert len(mesh.node.peers) == 3


@pytest.mark.parametrize(
    ("way", "args"),
    [
        ("local", ("peers",)),
        ("local", ("peers", "log")),
        ("local", ("peers", "forget", "x")),
        ("remote", ("peers", "forget", "x")),
    ],
)
async def test_a_node_whose_sync_worker_is_away(
    serve: Serve, way: str, args: tuple[str, ...]
) -> None:
    served = await serve(ask_seconds=0.1)
    await served.node.stop_worker("sync")
    done = await run(served, way, *args)
    expected = Exit.UNREACHABLE if way == "local" else Exit.FAILED
    assert done.exit_code == expected, done.stderr
    assert "sync" in done.stderr


async def test_a_token_that_only_reads(serve: Serve) -> None:
    served = await serve(api_token=API_TOKEN, read_token=READ_TOKEN)
    served.node.peers = (absent_peer("n2"),)
    done = await run(served, "remote", "peers", "forget", "n2", PEAT_API_TOKEN=READ_TOKEN)
    assert done.exit_code == Exit.UNAUTHORIZED
    done = await run(served, "remote", "peers", PEAT_API_TOKEN=READ_TOKEN)
    assert done.exit_code == Exit.OK


async def test_leaving(mesh: Served) -> None:
    done = await run(mesh, "local", "leave")
    assert (done.exit_code, mesh.node.is_leaving) == (Exit.OK, True)
    assert "memory leaves the mesh when it stops" in done.stdout
    assert "`kill 1`" in done.stdout


async def test_leaving_is_for_a_node_on_this_machine(mesh: Served, tmp_path: Path) -> None:
    done = await run(mesh, "remote", "leave", "--data-dir", str(tmp_path))
    assert done.exit_code == Exit.UNREACHABLE
    assert not mesh.node.is_leaving


async def test_the_group_takes_the_options_of_its_commands(mesh: Served) -> None:
    """Also `conflicts`, which is the same kind of group."""
    mesh.node.conflicts[(7).to_bytes(16, "big")] = kept_conflict()
    mesh.node.peers += (replace(peer("peat-mesh-9"), instance="ab" * 16),)
    url = f"http://127.0.0.1:{mesh.port}"
    nowhere = {"PEAT_RUN_DIR": "/nonexistent"}
    for args in (("--url", url), ("--url", url, "list"), ("list", "--url", url)):
        for name, word in (("peers", "peat-mesh-2"), ("conflicts", "notes/payment")):
            done = await run(mesh, "local", name, *args, **nowhere)
            assert (done.exit_code, word in done.stdout) == (Exit.OK, True), done.stderr
    for way in WAYS:
        done = await run(mesh, way, "conflicts")
        assert "notes/payment  (the other node: peat-mesh-9)" in done.stdout


@pytest.mark.parametrize("way", WAYS)
async def test_the_quarantine_is_listed_accepted_and_dropped(mesh: Served, way: str) -> None:
    for number, reason in ((7, "leap"), (8, "engine-change"), (9, "leap")):
        mesh.node.quarantine[number.to_bytes(16, "big")] = quarantined(number, reason)
    mesh.node.peers += (replace(peer("peat-mesh-9"), instance="ab" * 16),)
    done = await run(mesh, way, "quarantine", TZ="UTC")
    leap, engine, _ = done.stdout.splitlines()
    assert leap.endswith(
        "7  1970-01-01 00:00:01  leap 2 -> 1,099,511,627,775, deletes  notes/payment  (from peat-mesh-9)"
    )
    assert engine.endswith(" engine-change  notes/payment")
    listed = json.loads((await run(mesh, way, "quarantine", "list", "-o", "json")).stdout)
    assert [entry["reason"] for entry in listed] == ["leap", "engine-change", "leap"]
    one, other, _ = (entry["id"] for entry in listed)
    done = await run(mesh, way, "quarantine", "accept", other)
    assert (done.exit_code, done.stdout) == (Exit.OK, f"{other}: accepted\n")
    assert (await run(mesh, way, "quarantine", "drop", one)).exit_code == Exit.OK
    for args in (
        ("accept", one),
        ("drop", one),
        ("drop", "what"),
        ("drop",),
        ("drop", one, "--all"),
    ):
        assert (await run(mesh, way, "quarantine", *args)).exit_code != Exit.OK
    assert (await run(mesh, way, "quarantine", "drop", "--all")).exit_code == Exit.OK
    assert not mesh.node.quarantine


@pytest.mark.parametrize("way", WAYS)
async def test_a_shell_completes_the_names(mesh: Served, way: str) -> None:
    variables = {"COMP_CWORD": "3", "_PEATNODE_COMPLETE": "bash_complete"}

    async def completed(*words: str) -> list[str]:
        line = {"COMP_WORDS": " ".join(("peatnode", *words)), **variables}
        done = await run_main(mesh, way, **line)
        return [item.partition(",")[2] for item in done.stdout.split()]

    assert await completed("peers", "forget", "peat") == ["peat-mesh-2", "peat-mesh-3"]
    assert await completed("peers", "log", "peat-mesh-1") == ["peat-mesh-1"]


async def run_main(served: Served, way: str, **env: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("PEAT_")}
    variables: dict[str, str | None] = {**clean, **target(served, way), **env}
    runner = CliRunner()
    return await asyncio.to_thread(
        runner.invoke, cli, [], env=variables, prog_name="peatnode", complete_var=None
    )


def test_every_command_of_the_group_has_help() -> None:
    for name in ("list", "log", "forget"):
        done = CliRunner().invoke(peers_group, [name, "--help"])
        assert (done.exit_code, "Usage" in done.output) == (0, True)


@pytest.mark.parametrize("way", WAYS)
async def test_blocking(mesh: Served, way: str) -> None:
    done = await run(mesh, way, "peers", "block", "peat-mesh-1", "x", "--reason", "it deletes")
    assert (done.exit_code, done.stderr) == (Exit.OK, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("peat-mesh-1 is blocked on this node. Other nodes are not told")
    assert second.startswith("x is blocked")
    listed = await run(mesh, way, "peers")
    assert "peat-mesh-1 is blocked: it deletes" in listed.stdout.splitlines()
    done = await run(mesh, way, "peers", "unblock", "peat-mesh-1")
    assert (done.exit_code, done.stderr) == (Exit.OK, "")
    done = await run(mesh, way, "peers", "unblock", "peat-mesh-1")
    assert (done.exit_code, "is not blocked" in done.stderr) == (Exit.NOT_FOUND, True)
    done = await run(mesh, way, "peers", "block", "memory")
    assert (done.exit_code, "his node cannot block itself" in done.stderr) == (Exit.FAILED, True)


@pytest.mark.parametrize("way", WAYS)
async def test_allowing_deletions(mesh: Served, way: str) -> None:
    paused = replace(peer("x"), deletions_paused_since=50.0, deletions_refused=1234)
    mesh.node.peers += (replace(paused, is_in_sync=False, reason="its deletions are paused"),)
    listed = await run(mesh, way, "peers")
    assert "deletions of x are paused, 1,234 documents are kept" in listed.stdout
    done = await run(mesh, way, "peers", "allow-deletions", "x")
    assert (done.exit_code, done.stderr) == (Exit.OK, "")
    assert done.stdout == "Deletions of x are carried out on this node again.\n"
    done = await run(mesh, way, "peers", "allow-deletions", "x")
    assert (done.exit_code, "are not paused" in done.stderr) == (Exit.NOT_FOUND, True)
