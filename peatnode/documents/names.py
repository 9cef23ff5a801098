"""Names of documents: a collection, and an id in it; and the members of a document that have a meaning of their own."""

import re

from peatnode.documents.limits import MAX_COLLECTION_CHARACTERS, MAX_ID_BYTES
from peatnode.errors import BadName

ID_MEMBER = "_id"
"""In a body or a line of the API: the id of the document."""

DELETED_MEMBER = "_deleted"
"""In a line of the API: the document is deleted."""

RESERVED_MEMBERS = (ID_MEMBER, DELETED_MEMBER)
"""Top-level members that no write may give to a document. A Yjs client may write them: they have no meaning then."""

_COLLECTION = re.compile(
    rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{MAX_COLLECTION_CHARACTERS - 1}}}", re.ASCII
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_collection(name: str) -> None:
    """Raises BadName if a collection cannot have this name."""
    if not _COLLECTION.fullmatch(name):
        raise BadName(
            f"a collection name has 1 to {MAX_COLLECTION_CHARACTERS} letters, digits, dots, dashes and underscores, "
            "and does not begin with a dot or a dash"
        )


def check_id(name: str) -> None:
    """Raises BadName if a document cannot have this id."""
    if not name or len(name) > MAX_ID_BYTES:
        raise BadName(f"a document id has 1 to {MAX_ID_BYTES} bytes")
    if name.isalnum() and name.isascii():
        return
    if name in (".", ".."):
        raise BadName("a document id must not be . or ..")
    if "/" in name or _CONTROL.search(name):
        raise BadName("a document id must not contain a slash or a control character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadName("a document id must be valid Unicode") from None
    if size > MAX_ID_BYTES:
        raise BadName(f"a document id has 1 to {MAX_ID_BYTES} bytes")


def is_document_name(collection: str, document: str) -> bool:
    """Whether a document can have this name."""
    try:
        check_collection(collection)
        check_id(document)
    except BadName:
        return False
    return True


def document_key(collection: str, document: str) -> bytes:
    """The key of a document: keys sort by collection, then by the UTF-8 bytes of the id.

    The caller has checked the names.
    """
    return f"{collection}\0{document}".encode()


def is_document_key(key: bytes) -> bool:
    """Whether bytes from a damaged disk are the key of a document."""
    try:
        return is_document_name(*names_of(key))
    except UnicodeDecodeError:
        return False


def display_name(key: bytes) -> str:
    """A document key for people: collection, slash, id."""
    return "/".join(names_of(key))


def names_of(key: bytes) -> tuple[str, str]:
    """(collection, id) of a document key."""
    collection, _, document = key.decode().partition("\0")
    return collection, document
