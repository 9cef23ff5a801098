"""Names of collections and documents as they stand in a path."""

from __future__ import annotations

from urllib.parse import quote

from peatnode.api.failures import HttpProblem, sentence
from peatnode.documents.names import check_collection, check_id
from peatnode.errors import BadName

NEW_ID_BYTES = 15
"""Random bytes of a new document's name, which is their hex digits: no other document has it."""


def check_names(collection: str, doc_id: str | None = None) -> None:
    """Raises HttpProblem (400) that says what is wrong, and with which of the two."""
    check_name(collection, "collection")
    if doc_id is not None:
        check_name(doc_id, "document")


def check_name(name: str, what: str) -> None:
    """One of them; `what` is collection or document. Raises HttpProblem."""
    try:
        (check_collection if what == "collection" else check_id)(name)
    except BadName as error:
        raise HttpProblem(400, "bad-name", sentence(str(error)), what) from None


def document_path(collection: str, doc_id: str) -> str:
    return f"/api/v1/documents/{quote(collection, safe='')}/{quote(doc_id, safe='')}"
