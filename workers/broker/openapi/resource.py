"""The route GET /openapi.json."""

from __future__ import annotations

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON
from workers.broker.openapi.description import build_description


class OpenApiResource:
    """GET /openapi.json, built with the first request."""

    def __init__(self) -> None:
        self._body: bytes | None = None

    async def on_get(self, request: Request, response: Response) -> None:
        if self._body is None:
            self._body = orjson.dumps(build_description())
        response.content_type = JSON
        response.data = self._body

    on_head = on_get
