"""The dashboard with an API of fixed answers: for states that real nodes reach after days, or with a thousand peers."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from peatnode.api.encode_node import encode_node
from peatnode.api.encode_peer import encode_peers
from peatnode.ipc.messages import NodeReply, PeersReply, PeerState
from peatnode.model.states import PeerStatus
from tests.support.replies import NODE
from workers.broker.pages.resource import CONTENT_SECURITY_POLICY

PAGES = Path(__file__).parents[2] / "workers" / "broker" / "pages" / "dashboard"
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}


def peer(name: str, **facts: Any) -> PeerState:
    """A peer that is connected and in sync, if `facts` do not say otherwise."""
    usual: dict[str, Any] = {
        "instance": name.encode().hex().zfill(32)[:32],
        "endpoint_id": "",
        "is_connected": True,
        "state": PeerStatus.CONNECTED,
        "rtt_ms": 1.7,
        "is_in_sync": True,
        "behind_documents": 0,
        "out_of_sync_since": 0.0,
        "reason": "",
        "connected_since": time.time() - 600,
        "last_seen": time.time(),
        "addresses": ("10.0.0.5:11204",),
        "sources": ("kubernetes",),
        "metadata": (),
        "neighbours": (),
        "bytes_sent": 1 << 14,
        "bytes_received": 1 << 15,
        "is_twin": False,
        "version": "0.2.0",
        "documents": 4,
        "is_remembered": True,
    }
    return PeerState(id=name, **(usual | facts))


def absent_peer(name: str, seconds: float, **facts: Any) -> PeerState:
    """A remembered peer that went `seconds` ago."""
    away = {
        "is_connected": False,
        "state": PeerStatus.ABSENT,
        "rtt_ms": -1.0,
        "is_in_sync": False,
        "behind_documents": -1,
        "connected_since": 0.0,
        "last_seen": time.time() - seconds,
        "absent_since": time.time() - seconds,
        "last_equal": time.time() - seconds - 60,
        "bytes_sent": 0,
        "bytes_received": 0,
        "sources": (),
    }
    return peer(name, **(away | facts))


class PageStub:
    """A node as its dashboard sees it. `answers` may be replaced while the page is open."""

    def __init__(self, peers: tuple[PeerState, ...], documents: int = 4) -> None:
        self.answers: dict[str, Any] = {
            "/node": encode_node(_node(), None, None, time.time()),
            "/ready": {"ready": True, "node_id": "node-0", "checks": [], "findings": []},
            "/peer-log": {"count": 0, "events": []},
            "/documents": {"collections": [], "total": 0},
        }
        self.show(peers, documents)
        self.requests: list[str] = []
        """Method and path of all requests of the API that change something."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def show(self, peers: tuple[PeerState, ...], documents: int) -> None:
        self.answers["/peers"] = encode_peers(PeersReply(peers, b"", (), documents=documents))

    def find(self, severity: str, where: str, message: str, advice: str) -> None:
        found = {"severity": severity, "where": where, "message": message, "advice": advice}
        self.answers["/ready"]["findings"].append(found)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _node() -> NodeReply:
    return replace(NODE, node_id="node-0", started_at=time.time() - 600, uptime_seconds=600)


def _handler(stub: PageStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/api/v1").partition("?")[0]
            if path == self.path:
                name = self.path.rpartition("/")[2] or "index.html"
                self._answer(200, TYPES[Path(name).suffix], (PAGES / name).read_bytes())
            elif path == "/events":
                self._answer(200, "text/event-stream", b": nothing\n\n")
            else:
                self._answer(200, "application/json", json.dumps(stub.answers[path]).encode())

        def do_DELETE(self) -> None:
            stub.requests.append(f"DELETE {self.path}")
            status, body = stub.answers.get(f"DELETE {self.path}", (204, {}))
            self._answer(status, "application/problem+json", json.dumps(body).encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-security-policy", CONTENT_SECURITY_POLICY)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

    return Handler
