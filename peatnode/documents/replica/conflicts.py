"""What a node keeps of two documents that contradict each other: their clients, and each state that lost a part."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from peatnode.documents.content.clash import JoinedHistories, join_histories
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import SUM_BYTES, UnitSums
from peatnode.documents.limits import MAX_JOINED_BYTES
from peatnode.documents.replica.apply_update import readable_value
from peatnode.documents.replica.record import EMPTY_STATE
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.update import Update, encode_update

ID_BYTES = 16

MAX_PUSHED_BYTES = 256 * 1024
"""The largest document that is pushed to all peers after a conflict. They find a larger one by comparing roots."""


@dataclass(frozen=True, slots=True)
class LostState:
    """A whole document of which a part gave way to another one."""

    is_mine: bool
    """Whether this node had it, and not the peer."""
    id: bytes
    """16 bytes, the same on every node that keeps this state."""
    update: bytes
    """Yjs update v1."""
    value: bytes
    """Its JSON; empty: only an engine could read it."""


@dataclass(frozen=True, slots=True)
class DocumentConflict:
    """Two states of one document that contradict each other under the clocks of some clients."""

    key: bytes
    incarnation: int
    clients: tuple[int, ...]
    lost: tuple[LostState, ...]
    pushed: bytes
    """What peers compare with their own document: the one here before, or an empty one if it is large."""


def join_whole(mine: Update, theirs: Update, sums: UnitSums) -> JoinedHistories | str:
    """The join of two whole documents, or a sentence that says why there is none."""
    found = join_histories(mine, theirs, sums)
    clients = ", ".join(str(difference.client) for difference in found.differences)
    if missing_for(found.joined, {}) is not None:
        return f"the histories of client {clients} contradict each other and depend on themselves"
    if len(encode_update(found.joined)) > MAX_JOINED_BYTES:
        return f"the histories of client {clients} contradict each other and are too large together"
    return found


def conflict_of(
    key: bytes,
    incarnation: int,
    found: JoinedHistories,
    mine: Update,
    theirs: Update,
    sums: UnitSums,
    value: bytes,
) -> DocumentConflict:
    """What is kept of a conflict; `value` is the JSON of this node's document before, or empty."""
    encoded = encode_update(mine)
    lost = []
    if found.mine_loses:
        lost.append(LostState(True, _id_of(key, incarnation, mine, sums), encoded, value))
    if found.theirs_loses:
        theirs_encoded = encode_update(theirs)
        read = readable_value(theirs, len(theirs_encoded))
        number = _id_of(key, incarnation, theirs, sums)
        lost.append(LostState(False, number, theirs_encoded, read))
    clients = tuple(difference.client for difference in found.differences)
    pushed = encoded if len(encoded) <= MAX_PUSHED_BYTES else EMPTY_STATE
    return DocumentConflict(key, incarnation, clients, tuple(lost), pushed)


def _id_of(key: bytes, incarnation: int, state: Update, sums: UnitSums) -> bytes:
    content = state_sum(sums, state).to_bytes(SUM_BYTES, "big")
    return sha256(b"%b\0%d\0%b" % (key, incarnation, content)).digest()[:ID_BYTES]
