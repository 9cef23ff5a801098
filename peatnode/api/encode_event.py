"""The body of the event that a change of a document is."""

from __future__ import annotations

from peatnode.api.encode_document import quoted
from peatnode.ipc.messages import Change


def encode_change(change: Change, with_value: bool) -> bytes:
    value = b',"value":%b' % (change.value or b"null") if with_value else b""
    return (
        b'{"type":"SyncEvent","collection":%b,"doc_id":%b,"action":"%b","sequence":%d,"origin":%b,'
        b'"incarnation":%d,"fingerprint":"%b"%b}'
    ) % (
        quoted(change.collection),
        quoted(change.id),
        change.action.encode(),
        change.sequence,
        quoted(change.origin),
        change.incarnation,
        change.fingerprint.hex().encode(),
        value,
    )
