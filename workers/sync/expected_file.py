"""The file of expected peers, which is read again while the node runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from peatnode.config import ExpectedPeers, reread_expected_peers
from peatnode.errors import BadConfiguration
from workers.sync.imitations import Problems

EXPECTED_PROBLEM = "expected_peers"
EXPECTED_ADVICE = "Correct the file; until then its last valid content counts."

SECONDS = 5.0
"""Between two readings. A ConfigMap that is mounted changes without an event that every file system reports."""


class Expecting(Protocol):
    """The part of NodeShell that expects peers."""

    expected: ExpectedPeers


async def follow_expected(path: Path, node: Expecting, problems: Problems) -> None:
    """Keeps what the node expects equal to the content of the file, without end."""
    problem = ""
    while True:
        problem = read_again(path, node, problems, problem)
        await asyncio.sleep(SECONDS)


def read_again(path: Path, node: Expecting, problems: Problems, problem: str) -> str:
    """Reads the file once. Takes and returns the problem that is raised; empty: none."""
    try:
        node.expected = reread_expected_peers(path)
    except BadConfiguration as error:
        if str(error) != problem:
            problems.raise_problem(EXPECTED_PROBLEM, str(error), EXPECTED_ADVICE)
        return str(error)
    if problem:
        problems.clear_problem(EXPECTED_PROBLEM)
    return ""
