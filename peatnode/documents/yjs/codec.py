"""The codec of Yjs updates (format v1), without an engine: the names other parts use."""

from peatnode.documents.limits import DEFAULT_LIMITS, Limits
from peatnode.documents.replica.fingerprint import FINGERPRINT_BYTES, fingerprint
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.merge import diff_update, merge_updates, subtract_known
from peatnode.documents.yjs.projection import gc_clocks, project, root_names
from peatnode.documents.yjs.state_vector import (
    StateVector,
    decode_state_vector,
    encode_state_vector,
)
from peatnode.documents.yjs.update import EMPTY_UPDATE, Update, decode_update, encode_update

__all__ = [
    "DEFAULT_LIMITS",
    "EMPTY_DELETE_SET",
    "EMPTY_UPDATE",
    "FINGERPRINT_BYTES",
    "DeleteSet",
    "Limits",
    "StateVector",
    "Update",
    "compact",
    "decode_state_vector",
    "decode_update",
    "diff_update",
    "encode_state_vector",
    "encode_update",
    "fingerprint",
    "gc_clocks",
    "merge_updates",
    "missing_for",
    "project",
    "root_names",
    "subtract_known",
]
