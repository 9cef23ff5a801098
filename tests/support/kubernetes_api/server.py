"""An API server that knows EndpointSlices and StatefulSets, and can be as bad as the real one is on its worst day.

It lists (in pages, with `continue`), reads one object and watches (from a resourceVersion, with bookmarks), checks
the token and the selectors, forgets history, and commits each of `Faults` when told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import seeds

TOKEN = "a-token"

PATHS = {
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/mesh/endpointslices",
    "StatefulSet": "/apis/apps/v1/namespaces/mesh/statefulsets",
}

Object = dict[str, Any]


@dataclass
class Faults:
    """What the server does wrong now. Chances are from 0 to 1."""

    list_status: int = 0
    """Refuse each list with this."""
    watch_status: int = 0
    set_status: int = 0
    """Refuse each request for StatefulSets with this; watches that are open go on."""
    set_seconds: float = 0.0
    """Answer them so late."""
    retry_after: int = 0
    is_silent: bool = False
    """Take requests and say nothing, for ever; watches that are open fall silent too."""
    gone_as_event: bool = True
    """Say 410 within the watch, else as its HTTP status."""
    refuse: float = 0.0
    """Answer 500, 503, 429 or drop the connection."""
    cut: float = 0.0
    """After an event: end the watch properly, break it, or break it within a line."""
    double: float = 0.0
    """Send an event twice."""
    lose: float = 0.0
    """Do not send an event at all."""
    swap: float = 0.0
    """Send an event after its successor."""
    expire_token: float = 0.0
    """Forget the place of a list between two pages."""
    small_chunks: bool = False
    """Send lines in pieces."""


@dataclass
class Counted:
    lists: int = 0
    watches: int = 0
    set_reads: int = 0
    set_watches: int = 0


@dataclass
class FakeApi:
    rng: random.Random = field(default_factory=lambda: seeds.generator("Kubernetes API"))
    faults: Faults = field(default_factory=Faults)
    counted: Counted = field(default_factory=Counted)
    objects: dict[str, Object] = field(default_factory=dict)
    token: str = TOKEN
    bookmark_seconds: float = 60.0
    _version: int = 1000
    _oldest: int = 1000
    """Watches from before this are answered 410."""
    _history: list[tuple[int, str, Object]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _snapshots: dict[str, dict[str, Object]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    # --- the truth

    def write(self, name: str, content: Object | None) -> None:
        self._version += 1
        before = self.objects.get(name)
        if content is None:
            assert before is not None
            found, kind = copy.deepcopy(self.objects.pop(name)), "DELETED"
        else:
            found, kind = copy.deepcopy(content), "MODIFIED" if before else "ADDED"
            self.objects[name] = found
        found["metadata"]["resourceVersion"] = str(self._version)
        self._history.append((self._version, kind, found))
        self._wake()

    def forget_history(self) -> None:
        """What watches that resume from now on will call 410 Gone."""
        self._oldest = self._version
        self._history.clear()

    def drop_watches(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- the server

    @contextlib.asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Yields the port on 127.0.0.1."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await self._dispatch(head, writer)
                await writer.drain()
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _dispatch(self, head: str, writer: asyncio.StreamWriter) -> None:
        request, *headers = head.split("\r\n")
        target = urlsplit(request.split(" ")[1])
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if not any(h.lower() == f"authorization: bearer {self.token}".lower() for h in headers):
            return _refuse(writer, 401, "Unauthorized")
        kind, name = next(
            (
                (kind, target.path.removeprefix(path).strip("/"))
                for kind, path in PATHS.items()
                if target.path == path or target.path.startswith(path + "/")
            ),
            ("", ""),
        )
        if not kind:
            return _refuse(writer, 404, "the server could not find the requested resource")
        if self.faults.is_silent:
            await asyncio.Event().wait()
        if kind == "StatefulSet":
            await asyncio.sleep(self.faults.set_seconds)
            if self.faults.set_status:
                return _refuse(writer, self.faults.set_status, "no set")
            if not name and "fieldSelector" not in query:
                return _refuse(writer, 403, "the role names one set")  # `resourceNames`
        if self._happens(self.faults.refuse):
            status = self.rng.choice([0, 500, 503, 429])
            return _refuse(writer, status, "on a bad day", 1) if status else None
        if name:
            return self._read(kind, name, writer)
        query["kind"] = kind
        return await (self._watch(query, writer) if "watch" in query else self._list(query, writer))

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self.rng.random() < chance

    def _read(self, kind: str, name: str, writer: asyncio.StreamWriter) -> None:
        self.counted.set_reads += kind == "StatefulSet"
        found = self.objects.get(name)
        if found is None or found["kind"] != kind:
            return _refuse(writer, 404, f"{name} not found")
        return _send(writer, 200, json.dumps(found).encode())

    def _matches(self, found: Object, query: dict[str, str]) -> bool:
        selected = query.get("fieldSelector", "").removeprefix("metadata.name=")
        if found["kind"] != query["kind"] or selected not in ("", found["metadata"]["name"]):
            return False
        labels = found["metadata"]["labels"]
        pairs = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
        return all(labels.get(name) == value for name, value in pairs)

    async def _list(self, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.counted.lists += 1
        if self.faults.list_status:
            return _refuse(writer, self.faults.list_status, "no list", self.faults.retry_after)
        if "continue" in query and self._happens(self.faults.expire_token):
            return _refuse(writer, 410, "The provided continue parameter is too old")
        version, start = query.get("continue", f"{self._version}:").split(":")
        # All pages show the moment of the first.
        objects = self._snapshots.setdefault(version, dict(self.objects))
        names = sorted(n for n, o in objects.items() if n > start and self._matches(o, query))
        limit = int(query.get("limit", "0")) or len(names) or 1
        rest = len(names) > limit
        body = {
            "kind": "EndpointSliceList",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {
                "resourceVersion": version,
                **({"continue": f"{version}:{names[limit - 1]}"} if rest else {}),
            },
            "items": [objects[name] for name in names[:limit]],
        }
        if not rest:
            self._snapshots.pop(version, None)
        _send(writer, 200, json.dumps(body).encode())
        return None

    async def _watch(self, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.counted.set_watches += query["kind"] == "StatefulSet"
        self.counted.watches += query["kind"] != "StatefulSet"
        if self.faults.watch_status and query["kind"] != "StatefulSet":
            return _refuse(writer, self.faults.watch_status, "no watch", self.faults.retry_after)
        place = int(query.get("resourceVersion", self._version))
        if place < self._oldest and not self.faults.gone_as_event:
            return _refuse(writer, 410, "too old resource version")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        if place < self._oldest:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            _chunk(writer, _line("ERROR", status))
        else:
            if "resourceVersion" not in query:  # "Get State and Start at Most Recent"
                for found in [o for o in self.objects.values() if self._matches(o, query)]:
                    await self._send_line(writer, _line("ADDED", found))
            until = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds", "1800"))
            if not await self._stream(query, place, until, writer):
                return None
        writer.write(b"0\r\n\r\n")
        return None

    async def _stream(
        self, query: dict[str, str], place: int, until: float, writer: asyncio.StreamWriter
    ) -> bool:
        """False: the connection was broken."""
        loop = asyncio.get_running_loop()
        while loop.time() < until and not writer.is_closing():
            changed = self._changed
            if place < self._oldest:
                return True
            events = [event for event in self._history if event[0] > place]
            place = events[-1][0] if events else place
            for line in self._mix([e for e in events if self._matches(e[2], query)]):
                if self.faults.is_silent:
                    await asyncio.Event().wait()
                await self._send_line(writer, line)
                if self._happens(self.faults.cut):
                    return self._cut(writer, line)
            try:
                async with asyncio.timeout(min(self.bookmark_seconds, until - loop.time())):
                    await changed.wait()
            except TimeoutError:
                if not self.faults.is_silent:
                    content = {"metadata": {"resourceVersion": str(place)}}
                    await self._send_line(writer, _line("BOOKMARK", content))
        return True

    def _mix(self, events: list[tuple[int, str, Object]]) -> list[bytes]:
        lines: list[bytes] = []
        for _, kind, content in events:
            if self._happens(self.faults.lose):
                continue
            line = _line(kind, content)
            lines += [line] * (2 if self._happens(self.faults.double) else 1)
            if len(lines) > 1 and self._happens(self.faults.swap):
                lines[-1], lines[-2] = lines[-2], lines[-1]
        return lines

    def _cut(self, writer: asyncio.StreamWriter, line: bytes) -> bool:
        way = self.rng.randrange(3)
        if way == 0:
            return True
        if way == 1:
            _chunk(writer, line[: self.rng.randrange(1, len(line))])
        return False

    async def _send_line(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        if not self.faults.small_chunks:
            _chunk(writer, line)
        else:
            while line:
                size = self.rng.randrange(1, 400)
                _chunk(writer, line[:size])
                line = line[size:]
                await asyncio.sleep(0)
        await writer.drain()


def _line(kind: str, content: Object) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def _refuse(writer: asyncio.StreamWriter, status: int, message: str, retry_after: int = 0) -> None:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    headers = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    _send(writer, status, json.dumps(body).encode(), headers)
