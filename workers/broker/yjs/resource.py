"""WS /yjs/{collection}/{id}: the route to which the provider of y-websocket connects."""

from __future__ import annotations

import falcon
from falcon.asgi import Request, Response, WebSocket

from peatnode.api.failures import HttpProblem
from peatnode.api.names import check_names
from peatnode.errors import MalformedUpdate
from workers.broker.http.authentication import Access
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.rooms import Rooms
from workers.broker.yjs.session import SocketClosed, YjsSession


class FalconSocket:
    """Falcon's WebSocket as the `Socket` of a session."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    async def receive_data(self) -> bytes:
        try:
            return await self._ws.receive_data()
        except falcon.WebSocketDisconnected:
            raise SocketClosed from None
        except falcon.PayloadTypeError:
            raise MalformedUpdate("text instead of bytes") from None

    async def send_data(self, payload: bytes) -> None:
        try:
            await self._ws.send_data(payload)
        except falcon.WebSocketDisconnected:
            raise SocketClosed from None

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._ws.close(code, reason)
        except falcon.WebSocketDisconnected:
            raise SocketClosed from None


class YjsResource:
    """One document, opened by a Yjs client."""

    def __init__(self, store: WorkerClient, rooms: Rooms) -> None:
        self._store = store
        self._rooms = rooms

    async def on_get(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        raise HttpProblem(
            426,
            "upgrade-required",
            "This route is a WebSocket of the y-websocket protocol: connect with ws://.",
            headers=(("upgrade", "websocket"), ("connection", "upgrade")),
        )

    async def on_websocket(
        self, request: Request, ws: WebSocket, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        await ws.accept(subprotocol=request.scope.get("peat.subprotocol"))
        may_write = request.scope.get("peat.access") is Access.WRITE
        session = YjsSession(self._store, self._rooms, FalconSocket(ws), may_write)
        await session.serve(collection, doc_id)
