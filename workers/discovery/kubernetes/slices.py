"""Parses EndpointSlices, lists and watch events of the Kubernetes API (discovery.k8s.io/v1).

No I/O. A slice without a port named `quic` has no endpoints here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from peatnode.ipc.messages import Address
from peatnode.texts import cleaned, is_name
from workers.discovery.kubernetes.objects import (
    MalformedAnswer,
    field_object,
    field_text,
    read_object,
)

PORT_NAME = "quic"
"""Name of the port on which peers listen. The slices of other Services do not have it."""

METADATA_PREFIX = "peat."
"""Labels and annotations of a slice with this prefix become metadata of its peers."""

MAX_METADATA = 32
MAX_METADATA_TEXT = 256


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One entry of a slice: a pod and its addresses of the slice's address family."""

    name: str
    """Name of the pod; empty if the slice does not contain it."""
    namespace: str
    addresses: tuple[Address, ...]
    is_ready: bool
    is_terminating: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """One EndpointSlice."""

    name: str
    resource_version: str
    endpoints: tuple[SliceEndpoint, ...]
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SlicePage:
    """One response to a list request."""

    slices: tuple[Slice, ...]
    resource_version: str
    next_token: str
    """Empty: this is the last page."""


class LineKind(StrEnum):
    """The kinds of events of a watch."""

    PUT = "put"
    DELETED = "deleted"
    BOOKMARK = "bookmark"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class WatchLine:
    """One event of a watch."""

    kind: LineKind
    resource_version: str
    slice: Slice | None = None
    """Set for PUT and DELETED."""
    status: int = 0
    """HTTP status of an ERROR."""
    reason: str = ""


_KINDS = {
    "ADDED": LineKind.PUT,
    "MODIFIED": LineKind.PUT,
    "DELETED": LineKind.DELETED,
    "BOOKMARK": LineKind.BOOKMARK,
    "ERROR": LineKind.ERROR,
}


def read_page(body: bytes) -> SlicePage:
    """Raises MalformedAnswer."""
    content = read_object(body)
    metadata = field_object(content, "metadata")
    items = content.get("items") or []
    if not isinstance(items, list):
        raise MalformedAnswer("the list has no items")
    version = field_text(metadata, "resourceVersion")
    if not version:
        raise MalformedAnswer("the list has no resourceVersion")
    return SlicePage(tuple(_read_slices(items)), version, field_text(metadata, "continue"))


def _read_slices(items: list[Any]) -> Iterator[Slice]:
    for item in items:
        try:
            yield read_slice(item)
        except MalformedAnswer:
            continue  # one malformed slice must not hide the others


def read_watch_line(line: bytes) -> WatchLine:
    """Parses one event of a watch. Raises MalformedAnswer, also for an incomplete line."""
    content = read_object(line)
    kind = _KINDS.get(field_text(content, "type"))
    if kind is None:
        raise MalformedAnswer("the event has an unknown type")
    found = field_object(content, "object")
    if kind is LineKind.ERROR:
        status = found.get("code")
        return WatchLine(
            kind, "", None, status if isinstance(status, int) else 0, field_text(found, "message")
        )
    version = field_text(field_object(found, "metadata"), "resourceVersion")
    if kind is LineKind.BOOKMARK:
        return WatchLine(kind, version)
    return WatchLine(kind, version, read_slice(found))


def read_slice(content: Any) -> Slice:
    """Raises MalformedAnswer."""
    if not isinstance(content, dict):
        raise MalformedAnswer("the EndpointSlice is not an object")
    metadata = field_object(content, "metadata")
    name = field_text(metadata, "name")
    if not name:
        raise MalformedAnswer("the EndpointSlice has no name")
    port = _find_port(content.get("ports"))
    endpoints = content.get("endpoints") or []
    if not isinstance(endpoints, list):
        raise MalformedAnswer(f"the endpoints of {name} are not a list")
    return Slice(
        name=name,
        resource_version=field_text(metadata, "resourceVersion"),
        endpoints=tuple(
            _read_endpoint(endpoint, port, field_text(metadata, "namespace"))
            for endpoint in endpoints
        )
        if port
        else (),
        metadata=_read_metadata(metadata),
    )


def _find_port(ports: Any) -> int:
    """The number of the port named PORT_NAME; 0: there is none."""
    for port in ports if isinstance(ports, list) else []:
        if isinstance(port, dict) and port.get("name") == PORT_NAME:
            number = port.get("port")
            if isinstance(number, int) and 0 < number < 65536:
                return number
    return 0


def _read_endpoint(content: Any, port: int, namespace: str) -> SliceEndpoint:
    if not isinstance(content, dict):
        raise MalformedAnswer("an endpoint is not an object")
    conditions = field_object(content, "conditions")
    target = field_object(content, "targetRef")
    name = field_text(target, "name") if target.get("kind", "Pod") == "Pod" else ""
    name, namespace = (
        text if is_name(text) else ""
        for text in (
            name or field_text(content, "hostname"),
            field_text(target, "namespace") or namespace,
        )
    )
    return SliceEndpoint(
        name=name,
        namespace=namespace,
        addresses=_read_addresses(content.get("addresses"), port),
        # An unknown condition means ready and not terminating (EndpointConditions in the API reference).
        is_ready=conditions.get("ready") is not False,
        is_terminating=conditions.get("terminating") is True,
    )


def _read_addresses(hosts: Any, port: int) -> tuple[Address, ...]:
    addresses = []
    for host in hosts if isinstance(hosts, list) else []:
        try:
            addresses.append(Address(str(ipaddress.ip_address(host)), port))
        except ValueError:
            continue  # a slice of the type FQDN contains names, which clients ignore (API reference)
    return tuple(addresses)


def _read_metadata(metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """From labels and annotations. Kubernetes copies the labels of a Service to its slices,
    but not its annotations."""
    named: dict[str, Any] = {}
    for source in ("labels", "annotations"):
        if isinstance(metadata.get(source), dict):
            named |= metadata[source]
    kept = sorted(
        (cleaned(name, MAX_METADATA_TEXT), cleaned(value, MAX_METADATA_TEXT))
        for name, value in named.items()
        if name.startswith(METADATA_PREFIX)
        and isinstance(value, str)
        and len(name) + len(value) <= MAX_METADATA_TEXT
    )
    return tuple(kept[:MAX_METADATA])
