"""The tables of docs/conflicts.md, row by row: what two nodes change apart gives what the page says, in both orders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from peatnode.ipc.messages import Failed
from tests.support.small_mesh import MeshNode, Typist, carry, meet

PAGE = Path(__file__).parents[2] / "docs" / "conflicts.md"
HEAD = "| | before | on one node | on another | after they meet |"
MOST_TRIES = 64
"""Of a row with several results, each must come out once. Each try has other client ids."""

WRITE = re.compile(r"(PUT|PATCH|DELETE)(?: (.*?))?(?: ttl=(\d+))?")
TYPE = re.compile(r'type ("[^"]*") at (\d+) of (\w+)')


class Row(NamedTuple):
    """One line of a table."""

    what: str
    before: Sequence[str]
    sides: tuple[Sequence[str], Sequence[str]]
    results: Sequence[str]


def rows() -> list[Row]:
    found = []
    for table in PAGE.read_text(encoding="utf-8").split(HEAD)[1:]:
        for line in table.split("\n\n")[0].strip().splitlines()[1:]:
            what, before, one, other, after = (
                cell.strip() for cell in line.strip("|").split(" | ")
            )
            found.append(Row(what, _codes(before), (_codes(one), _codes(other)), _codes(after)))
    return found


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


class Scene:
    """Two nodes, and a Yjs client at each."""

    def __init__(self, row: Row, number: int) -> None:
        self._number = number
        self.nodes = [MeshNode(f"one {number}"), MeshNode(f"other {number}")]
        for node in self.nodes:
            node.document = f"d{number}"
        for step in row.before:
            self.carry_out(0, f"PUT {step}" if step.startswith("{") else step)
        meet(self.nodes)
        for side, steps in enumerate(row.sides):
            for step in steps:
                self.carry_out(side, step)

    def carry_out(self, side: int, step: str) -> None:
        node = self.nodes[side]
        if step == "expires":
            node.expire(1e6)
        elif typed := TYPE.fullmatch(step):
            text, at, name = typed.groups()
            typist = Typist(node, 1 + (side + self._number) % 2)
            typist.type(f"/{name}", int(at), orjson.loads(text))
        else:
            written = WRITE.fullmatch(step)
            assert written is not None, f"nobody understands {step}"
            self._write(node, *written.groups())

    def _write(self, node: MeshNode, method: str, body: str | None, ttl: str | None) -> None:
        options: dict[str, Any] = {} if ttl is None else {"expires_at": float(ttl)}
        value = orjson.loads(body or "null")
        if method == "DELETE":
            reply = node.delete()
        elif method == "PUT":
            reply = node.put(value, **options)
        elif isinstance(value, list):
            reply = node.patch(*value, **options)
        else:
            reply = node.merge(value, **options)
        assert not isinstance(reply, Failed), reply

    def result(self, first: int) -> str:
        """What the page calls it, after the node `first` was the first to hear of the other."""
        carry(self.nodes[1 - first], self.nodes[first])
        meet(self.nodes)
        record = self.nodes[0].record
        if record is None:
            return "nothing"
        value = orjson.dumps(self.nodes[0].value).decode()
        return value + (f" ttl={record.expires_at:.0f}" if record.expires_at else "")


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.what)
def test_what_two_nodes_change_apart_gives_what_the_page_says(row: Row) -> None:
    expected, seen = set(row.results or ["nothing"]), set()
    for number in range(MOST_TRIES):
        one, other = (Scene(row, number).result(first) for first in (0, 1))
        assert one == other
        assert one in expected
        seen.add(one)
        if seen == expected:
            return
    assert seen == expected


def test_each_table_is_read() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(rows()) == sum(line.startswith("| ") and "`" in line for line in lines)
    assert all(row.sides[0] and row.sides[1] for row in rows())
