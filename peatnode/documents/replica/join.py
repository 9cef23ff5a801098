"""The rules by which a change from a peer or a Yjs client joins a record: what is new in it, or why nothing is.

The higher of two incarnations replaces the lower one. Within one incarnation, structs and delete sets are united.
A tombstone beats every update of its incarnation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from peatnode.documents.limits import (
    CLIENT_LIMITS,
    LATE_INCARNATION,
    MAX_CLIENTS,
    MAX_INCARNATION,
    MAX_JOINED_BYTES,
    MAX_LATE_LEAP,
    MAX_LEAP,
    MAX_STATE_BYTES,
    PEER_LIMITS,
    STATE_LIMITS,
)
from peatnode.documents.names import check_collection, check_id
from peatnode.documents.replica.conflicts import DocumentConflict
from peatnode.documents.replica.record import EMPTY_VECTOR, Record, ended_vector_after
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.merge import subtract_known
from peatnode.documents.yjs.state_vector import StateVector, decode_state_vector
from peatnode.documents.yjs.update import Update, decode_update
from peatnode.errors import BadName, MalformedUpdate
from peatnode.model.documents import DocumentUpdate, Outcome

CLIENT = "client"
"""Origins of changes from Yjs clients begin with this word. Stricter limits hold for them than for peers."""


NAME_EXHAUSTED = (
    "the name has no incarnation left, so that no document can be written under it: use another id"
)
"""Of a name whose last incarnation has ended."""

MAX_COMPARED_BYTES = 256 * 1024
"""The largest state with which an update of a Yjs client is compared, so that it costs little of others' time."""


@dataclass(frozen=True, slots=True)
class JoinResult:
    """The outcome of joining one change."""

    outcome: Outcome
    reason: str = ""
    record: Record | None = None
    """After the change, where it was applied."""
    conflict: DocumentConflict | None = None
    """Of a document that was compared and contradicts the one here, whether that changed or not."""
    is_leap: bool = False
    """Whether it is refused only because its incarnation is too far above the one here: an operator may accept it."""


class EndingGate(Protocol):
    """Decides whether a change from a peer may end a live document, and is told which documents begin by changes."""

    def refusal(self, key: bytes, record: Record, ends_at: float) -> str:
        """Why the live incarnation of a record may not end; empty: it may.

        `ends_at`: Unix seconds of the expiry that the change sets; 0: it ends at once.
        """

    def began(self, key: bytes, incarnation: int) -> None:
        """An incarnation begins whose content is the sender's own."""


def check_change(change: DocumentUpdate) -> JoinResult | None:
    """A refusal if the names or the incarnation of a change are invalid."""
    try:
        check_collection(change.collection)
        check_id(change.id)
    except BadName as error:
        return JoinResult(Outcome.REFUSED, str(error))
    if change.incarnation == MAX_INCARNATION:
        return JoinResult(Outcome.REFUSED, NAME_EXHAUSTED)
    if not 0 < change.incarnation < MAX_INCARNATION:
        return JoinResult(
            Outcome.REFUSED, f"the incarnation must be between 1 and {MAX_INCARNATION - 1}"
        )
    return None


def check_leap(record: Record | None, incarnation: int) -> JoinResult | None:
    """A refusal if the incarnation of a change is further above that of the record than any node gets by itself."""
    here = 0 if record is None else record.incarnation
    leap = incarnation - here
    if leap <= MAX_LATE_LEAP or (leap <= MAX_LEAP and here < LATE_INCARNATION):
        return None
    reason = f"quarantined: it leaps from incarnation {here:,} to {incarnation:,}"
    return JoinResult(Outcome.REFUSED, reason, is_leap=True)


def check_end(
    gate: EndingGate | None, key: bytes, record: Record | None, ends_at: float = 0.0
) -> JoinResult | None:
    """A refusal if a change may not end what lives under the key. `ends_at`: see `EndingGate.refusal`."""
    if gate is None or record is None or record.is_deleted:
        return None
    reason = gate.refusal(key, record, ends_at)
    return JoinResult(Outcome.REFUSED, reason) if reason else None


def check_expiry(
    gate: EndingGate | None, key: bytes, before: Record | None, after: Record
) -> JoinResult | None:
    """A refusal if what lives under the key may not have the expiry that a change gives it."""
    if gate is None or before is None or not after.expires_at:
        return None
    is_new = after.expires_at != before.expires_at
    return check_end(gate, key, before, after.expires_at) if is_new else None


def holds_all(update: Update, record: Record) -> bool:
    """Whether an update has all clocks of a record, as that of a document which was undeleted."""
    reached = {client: structs[-1].end for client, structs in update.structs.items()}
    return all(reached.get(client, 0) >= clock for client, clock in record.state_vector.items())


def is_end_of(record: Record, incarnation: int) -> bool:
    """Whether the tombstone of an incarnation ends the record."""
    return incarnation >= record.incarnation + record.is_deleted


def decode_change(change: DocumentUpdate, origin: str) -> Update | JoinResult:
    """The decoded update of a change, or why it is refused. May run in a thread."""
    limits = CLIENT_LIMITS if origin.startswith(CLIENT) else PEER_LIMITS
    try:
        return decode_update(change.update, limits)
    except MalformedUpdate as error:
        return JoinResult(Outcome.REFUSED, str(error))


def read_update(
    change: DocumentUpdate,
    record: Record | None,
    origin: str,
    decoded: Update | JoinResult | None = None,
) -> Update | JoinResult:
    """The decoded update, or the reason why nothing changes. `decoded` is what `decode_change` returned before."""
    if record is not None and (
        change.incarnation < record.incarnation
        or (change.incarnation == record.incarnation and record.is_deleted)
    ):
        return JoinResult(Outcome.STALE)
    update = decode_change(change, origin) if decoded is None else decoded
    if isinstance(update, JoinResult) or not origin.startswith(CLIENT):
        return update
    if record is not None and holds_ended(update, change.incarnation, record):
        return JoinResult(Outcome.STALE, "the update holds content of a deleted document")
    return update


def holds_ended(update: Update, incarnation: int, record: Record) -> bool:
    """Whether an update has structs or deletions of an incarnation that has ended.

    What is in the live document is not ended, although its clocks may be: a peer may have had no record of their end.
    """
    ended, live = record.ended_vector, record.state_vector
    if incarnation > record.incarnation:
        if not record.is_deleted:
            ended = ended_vector_after(record)
        live = EMPTY_VECTOR
    if not ended:
        return False
    return any(
        max(start, live.get(client, 0)) < min(end, ended[client])
        for client, start, end in _clocks_of(update)
        if client in ended
    )


def _clocks_of(update: Update) -> Iterator[tuple[int, int, int]]:
    """(client, start, end) of all structs and deletions."""
    for client, structs in update.structs.items():
        for struct in structs:
            yield client, struct.clock, struct.end
    yield from update.delete_set


def ended_clocks(change: DocumentUpdate) -> StateVector | JoinResult:
    """The clocks of incarnations that the sender of a change knows to have ended, or why they cannot be read."""
    encoded = change.update if change.is_deleted else change.ended
    try:
        return decode_state_vector(encoded, STATE_LIMITS) if encoded else EMPTY_VECTOR
    except MalformedUpdate as error:
        return JoinResult(Outcome.REFUSED, str(error))


def new_part(update: Update, incarnation: int, record: Record | None) -> Update | JoinResult:
    """The part of an update that the record lacks, or the reason why nothing changes."""
    known = record if record is not None and record.incarnation == incarnation else None
    vector = known.state_vector if known is not None else {}
    missing = missing_for(update, vector)
    if missing is not None:
        client, clock = next(iter(missing.items()))
        return JoinResult(
            Outcome.GAP, f"updates of client {client} below clock {clock} are missing"
        )
    if known is not None:
        update = subtract_known(update, vector, known.delete_set)
        if update.is_empty:
            return JoinResult(Outcome.KNOWN)
    return update


def is_again(update: Update, record: Record) -> bool:
    """Whether an update of a Yjs client holds clocks that the record has already, and the record is small.

    It may be sent twice. But it may also come from a copy of its writer, and say something else under these clocks.
    """
    vector = record.state_vector
    return state_bytes(record) <= MAX_COMPARED_BYTES and any(
        structs[0].clock < vector.get(client, 0) for client, structs in update.structs.items()
    )


def check_room(
    record: Record | None, incarnation: int, update: Update, added: int, origin: str
) -> JoinResult | None:
    """A refusal if the state of the record would have too many bytes with `added` more, or too many clients."""
    if record is None or record.incarnation != incarnation:
        return None
    is_client = origin.startswith(CLIENT)
    most = MAX_STATE_BYTES if is_client else MAX_JOINED_BYTES
    if not has_room(record, added, most):
        return JoinResult(Outcome.REFUSED, f"the document exceeds {most} bytes")
    vector, most = record.state_vector, MAX_CLIENTS if is_client else PEER_LIMITS.max_clients
    new = sum(client not in vector for client in update.structs)
    if new and len(vector) + new > most:
        return JoinResult(Outcome.REFUSED, f"more than {most} clients have written the document")
    return None


def has_room(record: Record | None, added: int, most: int = MAX_STATE_BYTES) -> bool:
    """Whether the state of the record can hold `added` bytes more."""
    held = state_bytes(record) if record is not None else 0
    return held + added <= most


def state_bytes(record: Record) -> int:
    """Size of the snapshot and the delta log together."""
    return record.snapshot_bytes + sum(map(len, record.delta_log))
