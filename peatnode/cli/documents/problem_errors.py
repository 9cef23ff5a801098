"""A refusal by the rules of the API as the error that the client raises when it receives that refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peatnode.api.failures import UNKNOWN_OUTCOME, HttpProblem
from peatnode.client._wire.responses import NodeResponse, problem_of
from peatnode.client.errors import ClientError, UnknownOutcome


@contextmanager
def client_errors() -> Iterator[None]:
    """A refusal as the client raises it when the API answers with the same problem."""
    try:
        yield
    except HttpProblem as problem:
        raise client_error(problem) from problem


def client_error(problem: HttpProblem) -> ClientError:
    if problem.code == UNKNOWN_OUTCOME:
        return UnknownOutcome(problem.detail)
    return problem_of(NodeResponse(problem.status, {}, problem.encode()))
