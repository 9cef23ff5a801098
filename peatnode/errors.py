"""Every error of ours, as one tree.

PeatnodeError
├── BadConfiguration      a setting is invalid: a sentence, exit status 78
├── MalformedUpdate       bytes that are no Yjs update within our limits
├── BadName               an invalid name of a collection or document
├── BadValue              JSON that a document cannot hold, or a patch that does not fit
├── MalformedFrame        bytes of a stream that are no frame or no message
└── LinkError
    ├── LinkLost          the other worker has exited; a request that was sent may have been carried out
    ├── ContractMismatch  the other worker has another version
    ├── AskTimedOut       no answer in time
    └── AskFailed         a typed refusal
"""

from __future__ import annotations

EXIT_CONFIGURATION = 78
"""Exit status (EX_CONFIG of sysexits.h) of a process that ends by BadConfiguration: a restart would not help."""


class PeatnodeError(Exception):
    """Root of the tree."""


class BadConfiguration(PeatnodeError):
    """A setting is invalid. The text is one sentence that says what to change."""


class MalformedUpdate(PeatnodeError):
    """Bytes that are not a Yjs update (v1) within our limits."""

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(reason if offset < 0 else f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset
        """Position in the bytes; negative: no single position."""


class BadName(PeatnodeError):
    """An invalid name of a collection or document. The text is one sentence."""


class BadValue(PeatnodeError):
    """JSON that a document cannot hold, or a patch that does not fit it. The text is one sentence."""

    def __init__(self, message: str, where: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        """JSON Pointer to the error."""
        self.code = code
        """Stable, for programs: as the API answers it."""


class MalformedFrame(PeatnodeError):
    """Bytes of a stream that are no frame within its limit, or a frame that is no message of the contract."""


class LinkError(PeatnodeError):
    """A request to another worker was not answered."""


class LinkLost(LinkError):
    """The other end is gone. The request may or may not have been carried out."""


class ContractMismatch(LinkError):
    """The other end speaks another version of the messages."""


class AskTimedOut(LinkError):
    """No answer within the timeout. The request may or may not have been carried out."""


class AskFailed(LinkError):
    """The other worker refused the request and gave a reason."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        """A value of `peatnode.ipc.messages.Failure`."""
        self.message = message
        self.where = where
