"""Serves the files of the web pages."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from falcon.asgi import Request, Response

from peatnode.api.failures import HttpProblem

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


class PageResource:
    """Serves the files of one folder by name, or always the file `page` if it is given."""

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
