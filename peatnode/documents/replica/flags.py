"""What a record says of its document without its state being read, and what an update adds to that."""

from peatnode.documents.json.root_maps import CONTROL
from peatnode.documents.json.value import ROOT
from peatnode.documents.yjs.structs import ANY, DELETED, GC, TYPE, Struct
from peatnode.documents.yjs.update import Update


class DocumentFlag:
    """Bits of `Record.flags`, also on disk.

    Plain integers: on CPython 3.11 one operation of `enum.IntFlag` takes about twenty times as long, and every
    update that arrives needs several.
    """

    DELETED = 1
    VALUE_OUTDATED = 2
    """The value is older than the state. The engine has not computed it yet."""
    NEEDS_ENGINE = 4
    """The document had arrays, texts or garbage below the value's own roots. Only an engine can read it."""
    HAS_OTHER_ROOTS = 8
    """Some root types or nested types are not part of the value. An engine receives a projection without them."""
    HAS_VALUE = 16
    """Something in the document belongs to the value."""
    HAS_EXPIRY = 32
    """The document has or had an expiry."""
    SNAPSHOT_SEPARATE = 64
    """The snapshot has an entry of its own, because it is large."""
    VALUE_SEPARATE = 128
    """The value has an entry of its own, because it is large."""


def flags_of(update: Update) -> int:
    """Flags that an update sets. An item with an origin is where its origin is, so it sets none."""
    flags = 0
    for structs in update.structs.values():
        for struct in structs:
            if struct.kind not in (ANY, DELETED):
                flags |= _flags_of_kind(struct)
            if struct.right_origin is not None:
                flags |= DocumentFlag.NEEDS_ENGINE
            parent = struct.parent
            if parent is not None:
                flags |= _flags_of_parent(parent, struct.key)
    return flags


def _flags_of_kind(struct: Struct) -> int:
    return DocumentFlag.HAS_OTHER_ROOTS if struct.kind in (GC, TYPE) else DocumentFlag.NEEDS_ENGINE


def _flags_of_parent(parent: str | tuple[int, int], key: str | None) -> int:
    if parent == ROOT:
        return DocumentFlag.HAS_VALUE if key is not None else DocumentFlag.NEEDS_ENGINE
    if parent == CONTROL:
        return DocumentFlag.HAS_EXPIRY if key is not None else DocumentFlag.NEEDS_ENGINE
    if is_value_root(parent):
        return DocumentFlag.HAS_VALUE | DocumentFlag.NEEDS_ENGINE
    return DocumentFlag.HAS_OTHER_ROOTS


def is_value_root(parent: object) -> bool:
    """Whether a root type belongs to the value: the map of leaves, an array or a text by its pointer."""
    return isinstance(parent, str) and (parent == ROOT or parent.startswith("/"))
