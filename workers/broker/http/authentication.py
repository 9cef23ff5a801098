"""Bearer tokens and what they allow, and the origin of WebSockets. Tokens are compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from enum import Enum
from urllib.parse import urlsplit

from peatnode.api.failures import HttpProblem

SUBPROTOCOL = "peat"
TOKEN_SUBPROTOCOL = "bearer."  # noqa: S105 - the prefix of a subprotocol that carries a token
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Access(Enum):
    """What a token allows."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class TokenAuthenticator:
    """Compares tokens with those of the node. A node without an API token allows every request."""

    def __init__(self, api_token: str, read_token: str) -> None:
        self.is_open = not api_token
        self._api = _digest(api_token) if api_token else None
        self._read = _digest(read_token) if read_token else None

    def access(self, token: str | None) -> Access:
        """What the token allows; None: the request has none."""
        if token is None:
            return Access.WRITE if self.is_open else Access.NONE
        given = _digest(token)
        may_write = self._api is not None and hmac.compare_digest(given, self._api)
        may_read = self._read is not None and hmac.compare_digest(given, self._read)
        if may_write:
            return Access.WRITE
        if may_read:
            return Access.READ
        return Access.WRITE if self.is_open else Access.NONE

    def check(self, authorization: bytes | None, method: str) -> None:
        """Checks the Authorization header of a request. Raises HttpProblem (401, 403)."""
        if self.is_open and self._read is None:
            return
        match self.access(bearer(authorization)):
            case Access.NONE:
                raise unauthorized(authorization is not None)
            case Access.READ if method not in SAFE_METHODS:
                raise HttpProblem(
                    403, "read-only", "This token allows reads only.", "Authorization"
                )
            case Access.READ | Access.WRITE:
                pass


def unauthorized(was_given: bool) -> HttpProblem:
    detail = (
        "The token is not one of this node."
        if was_given
        else "This node requires a token: send Authorization: Bearer <PEAT_API_TOKEN>."
    )
    headers = (("www-authenticate", 'Bearer realm="peatnode"'),)
    return HttpProblem(401, "unauthorized", detail, "Authorization", headers)


def bearer(authorization: bytes | None) -> str | None:
    """The token of an Authorization header; None without a header, empty for another scheme than Bearer."""
    if authorization is None:
        return None
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def websocket_token(authorization: bytes | None, subprotocols: Iterable[str]) -> str | None:
    """The token in the header, or in a subprotocol `bearer.<base64url of the token>` (for browsers)."""
    if authorization is not None:
        return bearer(authorization)
    for name in subprotocols:
        if name.startswith(TOKEN_SUBPROTOCOL):
            text = name.removeprefix(TOKEN_SUBPROTOCOL)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except (ValueError, binascii.Error):
                return ""
    return None


def chosen_subprotocol(subprotocols: Iterable[str]) -> str | None:
    """The subprotocol to accept: a browser disconnects if the server accepts none of those it offers."""
    offered = list(subprotocols)
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return next((name for name in offered if name.startswith(TOKEN_SUBPROTOCOL)), None)


def check_origin(origin: bytes | None, host: bytes | None) -> None:
    """Refuses a WebSocket from a page of another site. Raises HttpProblem."""
    if origin is None:
        return
    try:
        netloc = urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        netloc = ""
    if not netloc or netloc != (host or b"").decode("latin-1").lower():
        raise HttpProblem(
            403,
            "cross-origin",
            "A browser can open WebSockets of this node only from its own pages.",
            "Origin",
        )
