"""The body of a `SyncEvent`: a change of a document."""

from __future__ import annotations

from binascii import hexlify

from peatnode.api.encode_document import quoted
from peatnode.ipc.messages import Change
from peatnode.model.states import ChangeAction

_ACTIONS = {action: action.encode() for action in ChangeAction}


def encode_change(change: Change, with_value: bool, origin_peer: str = "") -> bytes:
    """`with_value`: whether the event contains the document; null if it is deleted.

    `origin_peer`: the node id of the origin. Empty: it is no peer, or unknown.
    """
    peer = b',"origin_peer":%b' % quoted(origin_peer) if origin_peer else b""
    value = b',"value":%b' % (change.value or b"null") if with_value else b""
    return (
        b'{"type":"SyncEvent","collection":%b,"doc_id":%b,"action":"%b","sequence":%d,"origin":%b%b,'
        b'"incarnation":%d,"fingerprint":"%b"%b}'
    ) % (
        quoted(change.collection),
        quoted(change.id),
        _ACTIONS[change.action],
        change.sequence,
        quoted(change.origin),
        peer,
        change.incarnation,
        hexlify(change.fingerprint),
        value,
    )
