"""Brings the entries of ended content back together after a repair has lost some of them."""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.documents.replica.ended.entries import (
    decode_head,
    decode_state,
    decode_totals,
    encode_totals,
    head_key,
    names_in_head_key,
    names_in_state_key,
    state_key,
)
from peatnode.documents.replica.keyspace import (
    ENDED,
    ENDED_STATE,
    ENDED_TOTALS,
    KeyValue,
    after,
)


def unmatched(kv: KeyValue) -> Iterator[tuple[bytes, bytes | None]]:
    """The writes that remove heads without a state and states without a head, and count the others.

    Raises StorageFailed.
    """
    count = size = 0
    for entry, data in kv.scan(ENDED, after(ENDED)):
        head = decode_head(entry, data)
        state = decode_state(kv.get(state_key(*names_in_head_key(entry))))
        if head is None or state is None:
            yield entry, None
        else:
            count, size = count + 1, size + head.size
    for entry, data in kv.scan(ENDED_STATE, after(ENDED_STATE)):
        its_head = head_key(*names_in_state_key(entry))
        head = decode_head(its_head, kv.get(its_head) or b"")
        if head is None or decode_state(data) is None:
            yield entry, None
    noted = decode_totals(kv.get(ENDED_TOTALS))
    yield ENDED_TOTALS, None if noted is None else encode_totals(count, size, noted[2])
