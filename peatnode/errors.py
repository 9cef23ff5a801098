"""All exceptions of peatnode, as one tree.

PeatnodeError
├── BadConfiguration      a setting is invalid; exit status 78
├── MalformedUpdate       the bytes are not a Yjs update within the limits
├── BadName               the name of a collection or document is invalid
├── BadValue              a document cannot hold the JSON, or a patch does not apply
├── NumbersExhausted      a document has no incarnation or no clock left
├── MalformedFrame        the bytes of a stream are not a frame or not a message
├── StorageFailed         the disk or the database failed
│   └── EntriesDiffer     entries of the database that belong together do not match
└── LinkError
    ├── LinkLost          the link to the other worker is closed; a request that was sent may have been carried out
    ├── ContractMismatch  the other worker has another version of the messages
    ├── AskTimedOut       no answer arrived within the timeout
    └── AskFailed         the other worker refused the request, with a code
"""

from __future__ import annotations

import errno

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
"""Error numbers of a disk that refuses writes now and may take them later, without a change of the configuration."""

EXIT_CONFIGURATION = 78
"""Exit status (EX_CONFIG of sysexits.h) after BadConfiguration:
a restart without a change would fail again."""


class PeatnodeError(Exception):
    """Base class of all exceptions of peatnode."""


class BadConfiguration(PeatnodeError):
    """A setting is invalid. The text is one sentence that says what to change."""


class MalformedUpdate(PeatnodeError):
    """The bytes are not a Yjs update (v1) within the limits."""

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(reason if offset < 0 else f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset
        """Position of the error in bytes; negative if it has no single position."""


class BadName(PeatnodeError):
    """The name of a collection or document is invalid. The text is one sentence."""


class NumbersExhausted(PeatnodeError):
    """A document has no incarnation, or its writer no clock left, that peers would accept. The text is one sentence."""


class BadValue(PeatnodeError):
    """A document cannot hold the JSON, or a patch does not apply to it. The text is one sentence."""

    def __init__(self, message: str, where: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        """JSON Pointer to the error."""
        self.code = code
        """Identifies the kind of error for programs; the API returns it and it does not change."""


class MalformedFrame(PeatnodeError):
    """A frame is longer than its limit, or its content is not a message of the contract."""


class StorageFailed(PeatnodeError):
    """The disk or the database failed. The text comes from RocksDB or the operating system."""

    @property
    def is_corruption(self) -> bool:
        """Whether the database is damaged, so that its next opening has to repair it."""
        return "orruption" in str(self)

    @property
    def is_missing_file(self) -> bool:
        return "No such file" in str(self)

    @property
    def is_read_only(self) -> bool:
        return "Read-only file system" in str(self)

    @property
    def is_full(self) -> bool:
        return "No space left" in str(self) or "NoSpace" in str(self) or "Disk quota" in str(self)


class EntriesDiffer(StorageFailed):
    """Entries of the database that belong together do not match. Each of them can be read, and so the files are sound.

    The text is one sentence that names the entries.
    """

    @property
    def is_corruption(self) -> bool:
        return True


class LinkError(PeatnodeError):
    """A request to another worker was not answered."""


class LinkLost(LinkError):
    """The link is closed. The request may or may not have been carried out."""


class ContractMismatch(LinkError):
    """The other worker uses another version of the messages."""


class AskTimedOut(LinkError):
    """No answer arrived within the timeout. The request may or may not have been carried out."""


class AskFailed(LinkError):
    """The other worker refused the request and gave a reason."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        """A value of `peatnode.ipc.messages.Failure`."""
        self.message = message
        self.where = where
        """The invalid field, name or JSON Pointer; empty if there is none."""
