"""The description of the API, for programs and for people."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON
from peatnode.api.failures import HttpProblem
from workers.broker.openapi.description import build_description

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE_HEADERS = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
)


class OpenApiResource:
    """GET /openapi.json"""

    def __init__(self) -> None:
        self._body: bytes | None = None

    async def on_get(self, request: Request, response: Response) -> None:
        if self._body is None:
            self._body = orjson.dumps(build_description())
        response.content_type = JSON
        response.data = self._body

    on_head = on_get


class PageResource:
    """Files of a page that lie in a folder beside this module, by name only."""

    def __init__(self, folder: str, page: str = "") -> None:
        self._folder = Path(__file__).parent / folder
        self._page = page
        self._names = frozenset(entry.name for entry in self._folder.iterdir() if entry.is_file())

    async def on_get(self, request: Request, response: Response, name: str = "") -> None:
        name = self._page or name
        if name not in self._names or name.endswith(".py"):
            raise HttpProblem(404, "not-found", f"There is nothing at {request.path}.")
        response.content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response.set_headers(PAGE_HEADERS)
        response.data = (self._folder / name).read_bytes()

    on_head = on_get
