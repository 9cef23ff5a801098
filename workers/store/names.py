"""Checks the names in a request, and makes the document's key of them."""

from __future__ import annotations

from peatnode.documents.names import check_collection, check_id, document_key
from peatnode.errors import BadName
from peatnode.ipc.messages import Failure
from workers.store.engine.refusal import RequestRefused


def unchecked_key(collection: str, document: str) -> bytes:
    """The key, also if the names are none: whoever uses the document refuses those."""
    return f"{collection}\0{document}".encode(errors="replace")


def checked_key(collection: str, document: str) -> bytes:
    """The document's key. Raises RequestRefused for an invalid name."""
    try:
        check_collection(collection)
    except BadName as error:
        raise RequestRefused(Failure.INVALID, str(error), "collection") from None
    try:
        check_id(document)
    except BadName as error:
        raise RequestRefused(Failure.INVALID, str(error), "id") from None
    return document_key(collection, document)
