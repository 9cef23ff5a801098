"""Every error of ours, as one tree.

PeatnodeError
├── BadConfiguration      what the user set is wrong: a sentence, exit status 78
├── MalformedUpdate       bytes that are no Yjs update we take
├── BadName               a collection or document id that cannot be
├── BadValue              JSON that a document cannot hold, or a patch that does not fit
├── MalformedFrame        bytes of a stream that are no frame, or no message
└── LinkError
    ├── LinkLost          the other worker is gone; a question already sent may have been carried out
    ├── ContractMismatch  the other worker is of another version
    ├── AskTimedOut       no answer in time
    └── AskFailed         a typed refusal
"""

from __future__ import annotations

EXIT_CONFIGURATION = 78
"""Exit status (EX_CONFIG of sysexits.h) of a process that ends by BadConfiguration: a restart would not help."""


class PeatnodeError(Exception):
    """Root of the tree."""


class BadConfiguration(PeatnodeError):
    """What the user set cannot be. The text is one sentence that says what to change."""


class MalformedUpdate(PeatnodeError):
    """Bytes that are not a Yjs update (v1) within our limits."""

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(reason if offset < 0 else f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset
        """Where in the bytes; negative: not at one place."""


class BadName(PeatnodeError):
    """A collection or a document id that cannot be. The text is one sentence."""


class BadValue(PeatnodeError):
    """JSON that a document cannot hold, or a patch that does not fit it. The text is one sentence."""

    def __init__(self, message: str, where: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        """JSON Pointer of what is wrong."""
        self.code = code
        """Stable, for programs: as the API answers it."""


class MalformedFrame(PeatnodeError):
    """Bytes of a stream that are no frame within its limit, or a frame that is no message of the contract."""


class LinkError(PeatnodeError):
    """A question to another worker was not answered."""


class LinkLost(LinkError):
    """The other end is gone. What had been asked may or may not have been carried out."""


class ContractMismatch(LinkError):
    """The other end speaks another version of the messages."""


class AskTimedOut(LinkError):
    """No answer within the time given. What was asked may or may not have been carried out."""


class AskFailed(LinkError):
    """The other worker refused, and said why."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        """A value of `peatnode.ipc.messages.Failure`."""
        self.message = message
        self.where = where
