"""What commands ask a node: a worker through its socket, or the API through a client. The functions raise CliError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from peatnode.cli.errors import CliError, cli_errors
from peatnode.cli.target import LocalNode, RemoteNode
from peatnode.client import Client
from peatnode.errors import AskFailed, LinkLost
from peatnode.ipc.link import ask_once
from peatnode.ipc.messages import Ask, Failure, GetPeers, Message, PeersReply
from peatnode.ipc.peer_names import PeerNames

ReplyT = TypeVar("ReplyT", bound=Message)
T = TypeVar("T")

ANSWER_SECONDS = 5.0
"""Of a worker, and of the API about what the node has in memory."""
API_SECONDS = 30.0
"""Of the API about what the store has to read, or has to ask its engine for."""
PAUSE_SECONDS = 0.05


def ask_worker(target: LocalNode, worker: str, question: Ask[ReplyT]) -> ReplyT:
    with cli_errors(str(target)):
        return asyncio.run(asked(target.run_dir, worker, question))


def ask_api(target: RemoteNode, ask: Callable[[Client], T], seconds: float = API_SECONDS) -> T:
    with cli_errors(str(target)), Client(target.url, target.token, seconds) as client:
        return ask(client)


async def asked(run_dir: Path, worker: str, question: Ask[ReplyT]) -> ReplyT:
    """The answer of a worker. Asks again for a while if it cannot answer yet, as the broker does.

    Raises LinkError instead of CliError.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_SECONDS
    while True:
        try:
            return await _asked_once(run_dir, worker, question)
        except AskFailed as error:
            if error.code != Failure.UNAVAILABLE or loop.time() > deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def _asked_once(run_dir: Path, worker: str, question: Ask[ReplyT]) -> ReplyT:
    try:
        return await ask_once(run_dir / f"{worker}.sock", "cli", question, ANSWER_SECONDS)
    except TimeoutError:
        raise LinkLost(f"the {worker} worker sends no hello within {ANSWER_SECONDS:g} s") from None


def names_of(target: LocalNode, instances: Iterable[str]) -> PeerNames:
    """The names of other nodes, as far as the sync worker tells them."""
    names = PeerNames(lambda: _peers(target))
    asyncio.run(names.learn([*instances]))
    return names


async def _peers(target: LocalNode) -> PeersReply | None:
    try:
        with cli_errors(str(target)):
            return await asked(target.run_dir, "sync", GetPeers())
    except CliError:
        return None
