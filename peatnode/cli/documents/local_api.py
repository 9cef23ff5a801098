"""Finds the API of a local node for queries, which only the broker answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from peatnode.api.findings.replies import NoAnswer
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.status.from_sockets import ask_worker
from peatnode.cli.target import LocalNode, RemoteNode, read_token
from peatnode.ipc.messages import GetNode, NodeReply

REASON = "--where, --sort and --fields are answered by the node's API"

LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # nothing is bound


def find_api(node: LocalNode, env: Mapping[str, str]) -> RemoteNode:
    """The API of the node. Raises CliError if it is not available."""
    reply = asyncio.run(ask_worker(node.run_dir, "supervisor", GetNode()))
    if isinstance(reply, NoAnswer):
        raise CliError(
            f"{REASON}, but the supervisor does not answer: {reply.reason}",
            Exit.UNREACHABLE,
            "`peatnode status` shows which workers run.",
        )
    return api_of(reply, read_token(env))


def api_of(node: NodeReply, token: str) -> RemoteNode:
    state = next((worker.state for worker in node.workers if worker.name == "broker"), "missing")
    if state != "ready":
        raise CliError(
            f"{REASON}, but the broker is {state}",
            Exit.UNREACHABLE,
            "Try again when `peatnode status` shows it as ready, or list without these options.",
        )
    if node.has_token and not token:
        raise CliError(
            f"{REASON}, which requires a token",
            Exit.UNAUTHORIZED,
            "Set PEAT_API_TOKEN, or PEAT_API_TOKEN_FILE to the file that holds the token.",
        )
    return RemoteNode(url_of(node.broker_address), token)


def url_of(listening: str) -> str:
    """The URL of a server that listens at host:port. One on all addresses is reached on the loopback."""
    host, _, port = listening.rpartition(":")
    return f"http://{LOOPBACK.get(host, host)}:{port}"
