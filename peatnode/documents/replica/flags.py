"""What an update says of the document it belongs to."""

from peatnode.documents.json.root_maps import CONTROL
from peatnode.documents.json.value import ROOT
from peatnode.documents.replica.record import Trait
from peatnode.documents.yjs.structs import ANY, DELETED, GC, TYPE, Struct
from peatnode.documents.yjs.update import Update


def traits_of(update: Update) -> int:
    """Bits of `Trait`. Items that name an origin are where that is: they add nothing."""
    traits = 0
    for structs in update.structs.values():
        for struct in structs:
            if struct.kind not in (ANY, DELETED):
                traits |= _traits_of_kind(struct)
            if struct.right_origin is not None:
                traits |= Trait.LISTS
            parent = struct.parent
            if parent is not None:
                traits |= _traits_of_parent(parent, struct.key)
    return traits


def _traits_of_kind(struct: Struct) -> int:
    return Trait.FOREIGN if struct.kind in (GC, TYPE) else Trait.LISTS


def _traits_of_parent(parent: str | tuple[int, int], key: str | None) -> int:
    if parent == ROOT:
        return Trait.VALUED if key is not None else Trait.LISTS
    if parent == CONTROL:
        return Trait.EXPIRING if key is not None else Trait.LISTS
    if is_value_root(parent):
        return Trait.VALUED | Trait.LISTS
    return Trait.FOREIGN


def is_value_root(parent: object) -> bool:
    """Whether a root type belongs to the value: the map of leaves, an array or a text by its pointer."""
    return isinstance(parent, str) and (parent == ROOT or parent.startswith("/"))
