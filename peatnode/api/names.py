"""Checks the names of collections and documents, and builds the path of a document."""

from __future__ import annotations

from urllib.parse import quote

from peatnode.api.failures import HttpProblem, sentence
from peatnode.documents.names import check_collection, check_id
from peatnode.errors import BadName

NEW_ID_BYTES = 15
"""Random bytes of a new id, which is their hex digits: 120 bits, so that ids do not collide."""


def check_names(collection: str, doc_id: str | None = None) -> None:
    """Raises HttpProblem (400) with the reason and with the name that is invalid."""
    check_name(collection, "collection")
    if doc_id is not None:
        check_name(doc_id, "document")


def check_name(name: str, what: str) -> None:
    """Checks one name. `what` is "collection" or "document". Raises HttpProblem."""
    try:
        (check_collection if what == "collection" else check_id)(name)
    except BadName as error:
        raise HttpProblem(400, "bad-name", sentence(str(error)), what) from None


def document_path(collection: str, doc_id: str) -> str:
    return f"/api/v1/documents/{quote(collection, safe='')}/{quote(doc_id, safe='')}"
