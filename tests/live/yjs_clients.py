"""npm's Yjs clients in one Node.js process, driven from Python."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class YjsClient:
    """One document with its WebsocketProvider. Code is JavaScript with `doc`, `provider`, `awareness`, `seen` and `Y`
    in scope: an expression, or statements that return."""

    def __init__(self, clients: YjsClients, name: str) -> None:
        self._clients = clients
        self.name = name

    def run(self, code: str) -> Any:
        return self._clients.ask("run", name=self.name, code=code)

    def wait(self, code: str, seconds: float = 15) -> Any:
        """The first true value of the code."""
        return self._clients.ask("wait", name=self.name, code=code, seconds=seconds)

    def wait_synced(self) -> YjsClient:
        self.wait("provider.synced")
        return self

    def wait_equal(self, code: str, value: Any, seconds: float = 15) -> None:
        self.wait(f"JSON.stringify({code}) === {json.dumps(_compact(value))}", seconds)

    def state(self) -> str:
        """Everything that it has, to give to another as `state`."""
        code = "Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64')"
        state: str = self.run(code)
        return state

    def close(self) -> None:
        self._clients.ask("close", name=self.name)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class YjsClients:
    """The process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "clients.mjs"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._numbers: Iterator[int] = itertools.count(1)

    def open(self, url: str, room: str, **more: Any) -> YjsClient:
        """`url` of a node's API, as `http://host:port/api/v1`. `tab=True`: a tab of one browser."""
        name = str(next(self._numbers))
        address = "ws" + url.removeprefix("http") + "/yjs"
        self.ask("open", name=name, url=address, room=room, **more)
        return YjsClient(self, name)

    def ask(self, op: str, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._numbers)
        self._process.stdin.write(json.dumps({"op": op, "number": number, **request}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the Yjs clients have ended"
        answer = json.loads(line)
        assert answer["number"] == number
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
