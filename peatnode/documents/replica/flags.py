"""Flags of a record, which describe its document without a look at the state, and the flags that an update sets."""

from peatnode.documents.json.root_maps import CONTROL
from peatnode.documents.json.value import ROOT
from peatnode.documents.yjs.structs import ANY, DELETED, GC, TYPE, Struct
from peatnode.documents.yjs.update import Update


class DocumentFlag:
    """Bits of `Record.flags`, in memory and on disk.

    They are plain integers: on CPython 3.11 one operation of `enum.IntFlag` takes about twenty times as long, and
    each update needs several.
    """

    DELETED = 1
    VALUE_OUTDATED = 2
    """The value is older than the state. The engine has not computed it yet."""
    HAS_LISTS = 4
    """The document has or had arrays, texts or other content than the plain entries of root maps."""
    HAS_OTHER_ROOTS = 8
    """Some root types or nested types are not part of the value. An engine receives a projection without them."""
    HAS_VALUE = 16
    """Something in the document belongs to the value."""
    HAS_EXPIRY = 32
    """The document has or had an expiry."""
    SNAPSHOT_SEPARATE = 64
    """The snapshot is large and has an entry of its own."""
    VALUE_SEPARATE = 128
    """The value is large and has an entry of its own."""
    NEEDS_ENGINE = 256
    """The document has or had content that only an engine can read."""


def flags_of(update: Update) -> int:
    """The flags that an update sets. An item with an origin has the parent of that origin, so it adds no flag."""
    flags = 0
    for structs in update.structs.values():
        for struct in structs:
            if struct.kind not in (ANY, DELETED):
                flags |= _flags_of_kind(struct)
            if struct.right_origin is not None:
                flags |= DocumentFlag.HAS_LISTS
            parent = struct.parent
            if parent is not None:
                flags |= _flags_of_parent(parent, struct.key)
    return flags


def _flags_of_kind(struct: Struct) -> int:
    return DocumentFlag.HAS_OTHER_ROOTS if struct.kind in (GC, TYPE) else DocumentFlag.HAS_LISTS


def _flags_of_parent(parent: str | tuple[int, int], key: str | None) -> int:
    if parent == ROOT:
        return DocumentFlag.HAS_VALUE if key is not None else DocumentFlag.NEEDS_ENGINE
    if parent == CONTROL:
        return DocumentFlag.HAS_EXPIRY if key is not None else DocumentFlag.NEEDS_ENGINE
    if is_value_root(parent):
        unread = DocumentFlag.HAS_LISTS if key is None else DocumentFlag.NEEDS_ENGINE
        return DocumentFlag.HAS_VALUE | unread
    return DocumentFlag.HAS_OTHER_ROOTS


def is_value_root(parent: object) -> bool:
    """Whether a root type belongs to the value: the map of leaves, or an array or text named by its pointer."""
    return isinstance(parent, str) and (parent == ROOT or parent.startswith("/"))
