"""Errors of a command: a sentence and advice on stderr, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from peatnode.cli.exits import Exit
from peatnode.cli.terminal.streams import describe_os_error
from peatnode.errors import (
    AskFailed,
    AskTimedOut,
    BadConfiguration,
    ContractMismatch,
    LinkLost,
    PeatnodeError,
)
from peatnode.texts import one_line

STATUS_OF_FAILURE = {
    "not_found": Exit.NOT_FOUND,
    "precondition": Exit.PRECONDITION,
    "unknown_outcome": Exit.UNKNOWN_OUTCOME,
}


class CliError(click.ClickException):
    """Ends the command with a sentence, advice and an exit status."""

    def __init__(self, message: str, status: Exit = Exit.FAILED, advice: str = "") -> None:
        super().__init__(message)
        self.exit_code = int(status)  # type: ignore[misc]  # click calls it a class variable
        self.advice = advice

    def show(self, file: IO[Any] | None = None) -> None:
        file = file or sys.stderr
        click.echo(f"peatnode: {one_line(self.message)}", file=file)
        if self.advice:
            click.echo(f"  {one_line(self.advice)}", file=file)


@contextmanager
def cli_errors(where: str = "") -> Iterator[None]:
    """Turns PeatnodeError, OSError, and an argument that is not Unicode, into CliError. `where`: the node."""
    try:
        yield
    except PeatnodeError as error:
        raise cli_error_of(error, where) from error
    except BrokenPipeError:
        raise
    except UnicodeEncodeError as error:
        raise CliError(f"{error.object!r} is not valid Unicode") from None
    except OSError as error:
        raise CliError(describe_os_error(error)) from error


def cli_error_of(error: PeatnodeError, where: str = "") -> CliError:
    """The sentence, the advice and the exit status for an error."""
    match error:
        case BadConfiguration():
            return CliError(str(error), Exit.CONFIGURATION)
        case AskFailed():
            at = f" ({error.where})" if error.where else ""
            return CliError(error.message + at, STATUS_OF_FAILURE.get(error.code, Exit.FAILED))
        case AskTimedOut():
            return CliError(
                str(error),
                Exit.UNKNOWN_OUTCOME,
                "Try again. `peatnode status` shows whether a worker is down.",
            )
        case LinkLost():
            return CliError(
                f"{where or 'the node'} does not answer: {error}",
                Exit.UNREACHABLE,
                "`peatnode status` shows what runs. `peatnode dev` starts a node on this machine.",
            )
        case ContractMismatch():
            return CliError(
                f"the node runs another version than this command: {error}",
                Exit.FAILED,
                "Use the `peatnode` that started the node, or restart the node with this one.",
            )
        case _:
            return _client_error_of(error)


def _client_error_of(error: PeatnodeError) -> CliError:
    from peatnode.client import errors

    match error:
        case errors.Unreachable():
            return CliError(
                str(error),
                Exit.UNREACHABLE,
                "Check that the node runs, and that --url (or PEAT_URL) is its address.",
            )
        case errors.UnknownOutcome():
            return CliError(
                str(error),
                Exit.UNKNOWN_OUTCOME,
                "Repeat a read. After a write, read the document before you repeat the write.",
            )
        case errors.Unauthorized():
            return CliError(
                str(error),
                Exit.UNAUTHORIZED,
                "Set PEAT_API_TOKEN, or PEAT_API_TOKEN_FILE to the file that holds the token.",
            )
        case errors.Forbidden():
            return CliError(str(error), Exit.UNAUTHORIZED)
        case errors.NotFound():
            return CliError(str(error), Exit.NOT_FOUND)
        case errors.PreconditionFailed():
            return CliError(str(error), Exit.PRECONDITION)
        case errors.ProblemAnswer():
            return CliError(_with_place(str(error), error.problem.where))
        case _:
            return CliError(str(error))


def _with_place(sentence: str, where: str) -> str:
    return sentence if not where or f"({where})" in sentence else f"{sentence} ({where})"
