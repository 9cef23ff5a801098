"""Turns a refusal of `peatnode.api` into the error that the client raises for the same response."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peatnode.api.failures import UNKNOWN_OUTCOME, HttpProblem
from peatnode.client._wire.responses import NodeResponse, problem_of
from peatnode.client.errors import ClientError, UnknownOutcome


@contextmanager
def client_errors() -> Iterator[None]:
    """Turns HttpProblem into ClientError."""
    try:
        yield
    except HttpProblem as problem:
        raise client_error(problem) from problem


def client_error(problem: HttpProblem) -> ClientError:
    if problem.code == UNKNOWN_OUTCOME:
        return UnknownOutcome(problem.detail)
    return problem_of(NodeResponse(problem.status, {}, problem.encode()))
