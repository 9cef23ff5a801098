"""The routes of the quarantine: what the store has set aside until an operator decides."""

from __future__ import annotations

from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON
from peatnode.api.failures import HttpProblem
from peatnode.api.kept.encode_quarantine import accepted_body, dropped_body, quarantine_body
from peatnode.ipc.messages import AcceptQuarantined, DropQuarantined, ListQuarantine
from peatnode.ipc.peer_names import PeerNames
from workers.broker.documents.conflicts import ID_BYTES, NO_PARAMETERS
from workers.broker.http.requests import check_parameters
from workers.broker.worker_client import WorkerClient


class QuarantineResource:
    """GET /quarantine"""

    def __init__(self, store: WorkerClient, names: PeerNames) -> None:
        self._store = store
        self._names = names

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._store.ask_retrying(ListQuarantine())
        await self._names.learn([entry.peer for entry in reply.entries if entry.peer])
        response.content_type = JSON
        response.data = quarantine_body(reply, self._names.name_of)

    on_head = on_get


class QuarantinedResource:
    """DELETE /quarantine/{id}"""

    def __init__(self, store: WorkerClient) -> None:
        self._store = store

    async def on_delete(self, request: Request, response: Response, entry_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._store.ask_retrying(DropQuarantined(_number(entry_id)))
        if not reply.was_kept:
            raise _unknown(entry_id)
        response.content_type = JSON
        response.data = dropped_body()


class AcceptResource:
    """POST /quarantine/{id}/accept"""

    def __init__(self, store: WorkerClient) -> None:
        self._store = store

    async def on_post(self, request: Request, response: Response, entry_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._store.ask_retrying(AcceptQuarantined(_number(entry_id)))
        response.content_type = JSON
        response.data = accepted_body(reply)


def _number(entry_id: str) -> bytes:
    """Raises HttpProblem."""
    try:
        number = bytes.fromhex(entry_id)
    except ValueError:
        number = b""
    if len(number) != ID_BYTES:
        raise _unknown(entry_id)
    return number


def _unknown(entry_id: str) -> HttpProblem:
    return HttpProblem(404, "not-found", f"This node has no {entry_id!r} in quarantine.", "id")
