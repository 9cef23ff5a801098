"""The routes of conflicts: what lost when two states of a document contradicted each other."""

from __future__ import annotations

from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON, conflict_body, conflicts_body, dismissed_body
from peatnode.api.failures import HttpProblem
from peatnode.ipc.messages import DismissConflict, ListConflicts, ReadConflict
from peatnode.ipc.peer_names import PeerNames
from workers.broker.http.requests import check_parameters
from workers.broker.worker_client import WorkerClient

NO_PARAMETERS: frozenset[str] = frozenset()
ID_BYTES = 16


class ConflictsResource:
    """GET /conflicts"""

    def __init__(self, store: WorkerClient, names: PeerNames) -> None:
        self._store = store
        self._names = names

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._store.ask_retrying(ListConflicts())
        await self._names.learn([entry.peer for entry in reply.conflicts])
        response.content_type = JSON
        response.data = conflicts_body(reply, self._names.name_of)

    on_head = on_get


class ConflictResource:
    """GET and DELETE /conflicts/{id}"""

    def __init__(self, store: WorkerClient, names: PeerNames) -> None:
        self._store = store
        self._names = names

    async def on_get(self, request: Request, response: Response, conflict_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        number = _number(conflict_id)
        reply = await self._store.ask_retrying(ReadConflict(number))
        await self._names.learn([reply.conflict.peer])
        response.content_type = JSON
        response.data = conflict_body(reply, self._names.name_of)

    on_head = on_get

    async def on_delete(self, request: Request, response: Response, conflict_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._store.ask_retrying(DismissConflict(_number(conflict_id)))
        if not reply.was_kept:
            raise _unknown(conflict_id)
        response.content_type = JSON
        response.data = dismissed_body()


def _number(conflict_id: str) -> bytes:
    """Raises HttpProblem."""
    try:
        number = bytes.fromhex(conflict_id)
    except ValueError:
        number = b""
    if len(number) != ID_BYTES:
        raise _unknown(conflict_id)
    return number


def _unknown(conflict_id: str) -> HttpProblem:
    return HttpProblem(404, "not-found", f"This node keeps no conflict {conflict_id!r}.", "id")
