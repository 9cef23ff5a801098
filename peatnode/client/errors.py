"""What a call can end in, as one tree.

ClientError
├── Unreachable           no connection: nothing was sent, nothing was changed
├── UnknownOutcome        sent, but the answer was lost: a change may or may not have been made
├── UnexpectedAnswer      what answered is no peatnode, or one of a version that we do not understand
└── ProblemAnswer         the node refused and said why (`problem`)
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
    """An `application/problem+json` body (RFC 9457) as the node gave it."""

    status: int
    detail: str
    """One sentence for the user."""
    title: str = ""
    type: str = "about:blank"
    code: str = ""
    """Short name of the reason, stable: the last part of `type`."""
    where: str = ""
    """The field, JSON Pointer or parameter that is wrong."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole body."""


class ClientError(PeatnodeError):
    """Root of what `peatnode.client` raises."""


class Unreachable(ClientError):
    """Nobody answers there. Nothing was sent, so nothing was changed."""


class UnknownOutcome(ClientError):
    """The request was sent and its answer lost. A change may or may not have been made."""


class UnexpectedAnswer(ClientError):
    """An answer that no peatnode gives."""


class ProblemAnswer(ClientError):
    """The node refused. `problem` says why; `str()` of it is one sentence."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class InvalidRequest(ProblemAnswer):
    """A name, a body, a parameter is wrong."""


class Unauthorized(ProblemAnswer):
    """The node asks for a token, or this is not the one."""


class Forbidden(ProblemAnswer):
    """The token may read only."""


class NotFound(ProblemAnswer):
    """There is none, or it was deleted."""


class Conflict(ProblemAnswer):
    """There is one of that name already, or the document was set aside."""


class PreconditionFailed(ProblemAnswer):
    """If-Match or If-None-Match did not hold."""


class TooLarge(ProblemAnswer):
    """Over a limit of the node."""


class Unavailable(ProblemAnswer):
    """Not now: starting, stopping, busy, or its disk is full."""


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
    """The error that fits the problem's status."""
    if problem.status >= 500:
        return Unavailable(problem)
    return _BY_STATUS.get(problem.status, InvalidRequest)(problem)
