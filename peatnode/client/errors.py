"""The errors of the client, as one tree.

ClientError
├── BadArgument           an argument cannot be sent to any node; it is a ValueError too
├── Unreachable           no connection: nothing was sent and nothing changed
├── UnknownOutcome        sent, but the response was lost: a change may or may not have been made
├── UnexpectedAnswer      the server is not a peatnode, or one of an unknown version
└── ProblemAnswer         the node refused the request; `problem` is the reason
    ├── InvalidRequest        400, 415, 422, …
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404, 410
    ├── Conflict              409
    ├── PreconditionFailed    412, 428
    ├── TooLarge              413, 414, 431
    └── Unavailable           429, 5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peatnode.errors import PeatnodeError


@dataclass(frozen=True, slots=True)
class Problem:
    """The `application/problem+json` body (RFC 9457) of a response."""

    status: int
    detail: str
    """One sentence for the user."""
    title: str = ""
    type: str = "about:blank"
    code: str = ""
    """Short, stable name of the reason: the last part of `type`."""
    where: str = ""
    """The field, JSON Pointer or parameter that is invalid."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole body."""


class ClientError(PeatnodeError):
    """Root of the errors of `peatnode.client`."""


class BadArgument(ClientError, ValueError):
    """An argument cannot be sent: a name is empty, a value is not JSON, a text is not Unicode. Nothing was sent."""


class Unreachable(ClientError):
    """No node answers at the address. Nothing was sent, so nothing changed."""


class UnknownOutcome(ClientError):
    """The request was sent, but its response was lost. A change may or may not have been made."""


class UnexpectedAnswer(ClientError):
    """The response is not one of a peatnode, or of an unknown version."""


class ProblemAnswer(ClientError):
    """The node refused the request. `problem` has the reason; `str(error)` is its sentence."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class InvalidRequest(ProblemAnswer):
    """A name, a body or a parameter is invalid."""


class Unauthorized(ProblemAnswer):
    """The node requires a token, or the token is wrong."""


class Forbidden(ProblemAnswer):
    """The token permits reads only."""


class NotFound(ProblemAnswer):
    """The document or peer does not exist, or the document was deleted."""


class Conflict(ProblemAnswer):
    """A document of this name already exists, the document is in quarantine, or the peer to forget is connected."""


class PreconditionFailed(ProblemAnswer):
    """The condition of If-Match or If-None-Match is false."""


class TooLarge(ProblemAnswer):
    """The request exceeds a limit of the node."""


class Unavailable(ProblemAnswer):
    """The node cannot answer now: it starts, stops, is busy, or its disk is full."""


_BY_STATUS: Mapping[int, type[ProblemAnswer]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: PreconditionFailed,
    413: TooLarge,
    414: TooLarge,
    428: PreconditionFailed,
    429: Unavailable,
    431: TooLarge,
}


def error_of(problem: Problem) -> ProblemAnswer:
    """The error class for the status of the problem."""
    if problem.status >= 500:
        return Unavailable(problem)
    return _BY_STATUS.get(problem.status, InvalidRequest)(problem)
