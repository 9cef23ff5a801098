"""One list of all that is in quarantine, whatever the reason, as operators see it and decide on it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from peatnode.documents.names import names_of
from peatnode.ipc.messages import Failure, QuarantineEntry, QuarantineReason, QuarantineReply
from workers.store.engine.quarantine import DOCUMENT, Quarantine
from workers.store.engine.refusal import RequestRefused
from workers.store.quarantine.leaps import KeptLeap, Leaps

NO_ENTRY = RequestRefused(Failure.NOT_FOUND, "there is no such entry in quarantine", "id")


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """A document, or a change to one, that broke the engine."""

    key: bytes
    digest: bytes
    """Of the change; DOCUMENT: the whole document."""
    incarnation: int

    @property
    def id(self) -> bytes:
        return sha256(b"engine\0%b\0%b" % (self.key, self.digest)).digest()[:16]


class QuarantineEntries:
    """All entries, by id."""

    def __init__(self, leaps: Leaps, broken: Quarantine) -> None:
        self._leaps = leaps
        self._broken = broken

    def reply(self) -> QuarantineReply:
        leaps = (_of_leap(leap) for leap in self._leaps.all())
        broken = (_of_broken(entry) for entry in self._all_broken())
        return QuarantineReply((*leaps, *broken), self._leaps.lost)

    def find(self, number: bytes) -> KeptLeap | BrokenEntry:
        """Raises RequestRefused."""
        leap = self._leaps.find(number)
        if leap is not None:
            return leap
        for entry in self._all_broken():
            if entry.id == number:
                return entry
        raise NO_ENTRY

    def drop(self, number: bytes) -> bool:
        """Drops a leap in the open batch; False: there is no such entry. Raises RequestRefused."""
        try:
            found = self.find(number)
        except RequestRefused:
            return False
        if isinstance(found, BrokenEntry):
            raise RequestRefused(
                Failure.QUARANTINED,
                "what broke the engine cannot be dropped: write or delete the document, or accept the entry to let the "
                "engine try again",
                "id",
            )
        self._leaps.drop(found)
        return True

    def _all_broken(self) -> tuple[BrokenEntry, ...]:
        return tuple(BrokenEntry(*entry) for entry in self._broken.entries())


def _of_leap(leap: KeptLeap) -> QuarantineEntry:
    return QuarantineEntry(
        leap.id,
        QuarantineReason.LEAP,
        leap.at,
        *names_of(leap.key),
        leap.here,
        leap.incarnation,
        leap.is_deleted,
        leap.peer,
        leap.size,
    )


def _of_broken(entry: BrokenEntry) -> QuarantineEntry:
    is_document = entry.digest == DOCUMENT
    reason = QuarantineReason.ENGINE_DOCUMENT if is_document else QuarantineReason.ENGINE_CHANGE
    number = entry.incarnation
    return QuarantineEntry(
        entry.id, reason, 0.0, *names_of(entry.key), number, number, False, "", 0
    )
