"""The responses that are not a success, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from peatnode.errors import AskFailed, BadValue
from peatnode.ipc.messages import Failure

MEDIA_TYPE = "application/problem+json"


class HttpProblem(Exception):
    """The request ends with this problem.

    `detail` is one sentence for the user, `where` the part of the request that is wrong.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        where: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        """Stable, for programs: the last part of `type`."""
        self.detail = detail
        self.where = where
        self.headers = headers

    def body(self) -> dict[str, object]:
        content: dict[str, object] = {
            "type": f"urn:peatnode:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
        }
        if self.where:
            content["where"] = self.where
        return content

    def encode(self) -> bytes:
        return orjson.dumps(self.body())


UNKNOWN_OUTCOME = "unknown-outcome"
"""The code of a write whose answer was lost."""

RETRY_SOON = (("retry-after", "1"),)


def unavailable(detail: str) -> HttpProblem:
    return HttpProblem(503, "unavailable", detail, headers=RETRY_SOON)


def unknown_outcome() -> HttpProblem:
    return HttpProblem(
        503,
        UNKNOWN_OUTCOME,
        "The answer to this write was lost: the document may or may not have changed. "
        "Read it before you write again.",
    )


OUT_OF_MEMORY = "out-of-memory"
"""The code of a request that needed more memory than the node has."""

CLOCK = "clock"
"""The code of a write whose expiry is not set because the clock of the node may be wrong."""


def out_of_memory(may_have_written: bool) -> HttpProblem:
    """The problem for a request in which this process ran out of memory."""
    if may_have_written:
        return HttpProblem(
            503,
            UNKNOWN_OUTCOME,
            "The node had not enough memory to answer this write: the document may or may not have changed. "
            "Read it before you write again.",
        )
    return HttpProblem(
        503,
        OUT_OF_MEMORY,
        "The node had not enough memory to answer. Ask for less at a time (limit, prefix, fields), or try again later.",
        headers=RETRY_SOON,
    )


_STATUS: dict[str, tuple[int, str]] = {
    Failure.INVALID: (422, "invalid"),
    Failure.NOT_FOUND: (404, "not-found"),
    Failure.EXISTS: (409, "exists"),
    Failure.PRECONDITION: (412, "precondition-failed"),
    Failure.TOO_LARGE: (413, "too-large"),
    Failure.UNAVAILABLE: (503, "unavailable"),
    Failure.UNKNOWN_OUTCOME: (503, UNKNOWN_OUTCOME),
    Failure.STORAGE: (507, "storage"),
    Failure.QUARANTINED: (409, "quarantined"),
    Failure.EXHAUSTED: (409, "exhausted"),
    Failure.TOO_COSTLY: (422, "too-costly"),
    Failure.BUSY: (503, "busy"),
    Failure.OUT_OF_MEMORY: (503, OUT_OF_MEMORY),
    Failure.CLOCK: (503, CLOCK),
}


def from_failure(failure: AskFailed) -> HttpProblem:
    """The problem for the typed refusal of a worker."""
    status, code = _STATUS.get(failure.code, (500, "internal"))
    headers = RETRY_SOON if code in ("unavailable", "busy", OUT_OF_MEMORY) else ()
    return HttpProblem(status, code, sentence(failure.message), failure.where, headers)


def from_bad_value(error: BadValue) -> HttpProblem:
    """The problem for a value that no document can hold."""
    return HttpProblem(422, error.code, sentence(error.message), error.where)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop. A first word with other characters keeps its case."""
    first = text.partition(" ")[0]
    start = text[:1].upper() if first.isalpha() else text[:1]
    return f"{start}{text[1:].removesuffix('.')}."
