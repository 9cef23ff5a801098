"""Formats documents, writes and events, as lines for people and as JSON for programs. No I/O."""

from __future__ import annotations

import json
from typing import Any

from peatnode.client.events import Event, Gap, SyncEvent
from peatnode.client.models import Document, Written
from peatnode.texts import escaped


def compact_json(value: Any) -> str:
    """The shortest JSON of a value. Characters that are not shown have the escapes of JSON."""
    return escaped(_compact(value))


def exported_line(document: Document) -> str:
    """The line of a file: nothing in it is escaped that JSON does not escape."""
    content = {"_id": document.id, **document.value}
    return _compact(content)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def listed_line(document: Document, as_json: bool) -> str:
    if as_json:
        return compact_json({"_id": document.id, **document.value})
    return f"{document.id}  {compact_json(document.value)}"


def written_line(written: Written, is_deletion: bool) -> str:
    if is_deletion:
        verb = "deleted"
    elif not written.was_changed:
        verb = "unchanged"
    else:
        verb = "created" if written.was_created else "updated"
    parts = [f"{verb} {written.collection}/{written.id}", f"change {written.sequence}"]
    if not is_deletion:
        parts.append(f"etag {written.etag}")
    if replicas := written.replicas:
        reason = f" ({replicas.detail})" if replicas.detail else ""
        parts.append(f"on {replicas.have} of {replicas.wanted} peers{reason}")
    return "  ".join(parts)


def written_json(written: Written, is_deletion: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "collection": written.collection,
        "id": written.id,
        "document": written.value,
        "created": written.was_created,
        "changed": written.was_changed,
        "deleted": is_deletion,
        "etag": None if is_deletion else written.etag,
        "sequence": written.sequence,
        "expires_at": written.expires_at,
    }
    if replicas := written.replicas:
        content["replicas"] = {
            "wanted": replicas.wanted,
            "have": replicas.have,
            "peers": list(replicas.peers),
        }
    return content


def event_line(event: Event) -> str:
    match event:
        case SyncEvent():
            value = "" if event.value is None else f"  {compact_json(event.value)}"
            sender = f" from {event.origin_peer}" if event.origin_peer else ""
            name = f"{event.collection}/{event.doc_id}"
            return f"{event.sequence}  {event.action} {name}{sender}{value}"
        case Gap():
            return (
                f"gap: the changes {event.since + 1} to {event.upto} are no longer kept. "
                "Read the documents again."
            )
        case _:
            return str(event)


def event_json(event: Event) -> dict[str, Any]:
    match event:
        case SyncEvent():
            return {
                "type": "SyncEvent",
                "collection": event.collection,
                "doc_id": event.doc_id,
                "action": event.action,
                "sequence": event.sequence,
                "origin": event.origin,
                "origin_peer": event.origin_peer,
                "fingerprint": event.fingerprint,
                "value": event.value,
            }
        case Gap():
            return {"type": "Gap", "since": event.since, "upto": event.upto}
        case _:
            return {"type": type(event).__name__}
