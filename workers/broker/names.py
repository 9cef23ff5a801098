"""Names of collections and documents as they stand in a path."""

from __future__ import annotations

import re
from urllib.parse import quote

from workers.broker.limits import BrokerLimits
from workers.broker.problems import Problem

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f/\ud800-\udfff]")


def check_name(name: str, what: str, limits: BrokerLimits) -> str:
    """The name itself. Raises Problem (400) that says what is wrong with it."""
    if not name:
        reason = "is empty"
    elif name in (".", ".."):
        reason = "may not be . or .."
    elif _FORBIDDEN.search(name):
        reason = "may not hold a slash or a control character"
    elif len(name) * 4 > limits.name_bytes and len(name.encode()) > limits.name_bytes:
        reason = f"is longer than {limits.name_bytes} bytes"
    else:
        return name
    raise Problem(400, "bad-name", f"The name of the {what} {reason}.", what)


def document_path(collection: str, doc_id: str) -> str:
    return f"/api/v1/documents/{quote(collection, safe='')}/{quote(doc_id, safe='')}"
