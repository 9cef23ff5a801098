"""What the StatefulSet of this pod says about the future of the pod. No I/O.

Source: StatefulSetSpec in the API reference (apps/v1), `replicas` and `ordinals.start`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workers.discovery.kubernetes.objects import (
    MalformedAnswer,
    field_object,
    field_text,
    read_object,
)


@dataclass(frozen=True, slots=True)
class PodPlace:
    """The place of a pod in its StatefulSet, as its name says: `peat-mesh-2` is number 2 of `peat-mesh`."""

    set_name: str
    ordinal: int


def read_pod_name(name: str) -> PodPlace | None:
    """None: a pod of this name belongs to no StatefulSet."""
    found = re.fullmatch(r"(.+)-(0|[1-9][0-9]{0,8})", name)
    return PodPlace(found[1], int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class SetState:
    """A StatefulSet at one moment."""

    is_deleted: bool
    """Whether it is gone, or is being deleted."""
    first: int
    """The lowest ordinal."""
    replicas: int


GONE = SetState(is_deleted=True, first=0, replicas=0)


@dataclass(frozen=True, slots=True)
class SetEvent:
    """One event of a watch. Without a state it is a bookmark."""

    state: SetState | None
    error: str = ""
    """Why the server has ended the watch."""


def read_set(content: bytes) -> SetState:
    """Raises MalformedAnswer."""
    return _read_state(read_object(content))


def read_set_event(line: bytes) -> SetEvent:
    """Raises MalformedAnswer, also for an incomplete line."""
    content = read_object(line)
    found = field_object(content, "object")
    match field_text(content, "type"):
        case "ADDED" | "MODIFIED":
            return SetEvent(_read_state(found))
        case "DELETED":
            return SetEvent(GONE)
        case "BOOKMARK":
            return SetEvent(None)
        case "ERROR":
            return SetEvent(None, field_text(found, "message") or "without a reason")
        case kind:
            raise MalformedAnswer(f"the event has an unknown type: {kind[:20]}")


def reason_to_leave(place: PodPlace, state: SetState) -> str:
    """Why the pod at this place will not come back; empty if it will."""
    name = f"the StatefulSet {place.set_name}"
    if state.is_deleted:
        return f"{name} is deleted"
    if not state.first <= place.ordinal < state.first + state.replicas:
        return f"{name} is scaled to {state.replicas}"
    return ""


def _read_state(content: dict[str, Any]) -> SetState:
    metadata, spec = field_object(content, "metadata"), field_object(content, "spec")
    if content.get("kind", "StatefulSet") != "StatefulSet" or not field_text(metadata, "name"):
        raise MalformedAnswer("the object is not a StatefulSet")
    return SetState(
        is_deleted=bool(field_text(metadata, "deletionTimestamp")),
        first=_read_number(field_object(spec, "ordinals"), "start", 0),
        replicas=_read_number(spec, "replicas", 1),
    )


def _read_number(content: dict[str, Any], name: str, default: int) -> int:
    found = content.get(name)
    if found is None:
        return default
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise MalformedAnswer(f"{name} is not a number")
    return found
