"""EndpointSlices, lists and watch events as the Kubernetes API writes them (discovery.k8s.io/v1).

No I/O. Only what a node needs is kept: the addresses of the endpoints with a port named `quic`.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from peatnode.errors import PeatnodeError
from peatnode.ipc.messages import Address

PORT_NAME = "quic"
"""Name of the port that peers listen on; a slice without it (such as the API's Service) has no peers."""

METADATA_PREFIX = "peat."
"""Annotations of a slice that become metadata of its peers."""

MAX_METADATA = 32
MAX_METADATA_TEXT = 256


class MalformedAnswer(PeatnodeError):
    """The API server sent something other than an EndpointSlice, a list or an event."""


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One entry of a slice: a pod and its addresses of the slice's kind."""

    name: str
    """Of the pod; empty if the slice does not name it."""
    namespace: str
    addresses: tuple[Address, ...]
    is_ready: bool
    is_terminating: bool


@dataclass(frozen=True, slots=True)
class Slice:
    name: str
    resource_version: str
    endpoints: tuple[SliceEndpoint, ...]
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SlicePage:
    """One answer to a list request."""

    slices: tuple[Slice, ...]
    resource_version: str
    next_token: str
    """Empty: this is the last page."""


class LineKind(StrEnum):
    PUT = "put"
    GONE = "gone"
    BOOKMARK = "bookmark"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class WatchLine:
    """One event of a watch."""

    kind: LineKind
    resource_version: str
    slice: Slice | None = None
    """For PUT and GONE."""
    status: int = 0
    """For ERROR, as an HTTP status."""
    reason: str = ""


_KINDS = {
    "ADDED": LineKind.PUT,
    "MODIFIED": LineKind.PUT,
    "DELETED": LineKind.GONE,
    "BOOKMARK": LineKind.BOOKMARK,
    "ERROR": LineKind.ERROR,
}


def read_page(body: bytes) -> SlicePage:
    """Raises MalformedAnswer."""
    content = _read_object(body)
    metadata = _object(content, "metadata")
    items = content.get("items") or []
    if not isinstance(items, list):
        raise MalformedAnswer("the list has no items")
    version = _text(metadata, "resourceVersion")
    if not version:
        raise MalformedAnswer("the list has no resourceVersion")
    return SlicePage(tuple(_read_slices(items)), version, _text(metadata, "continue"))


def _read_slices(items: list[Any]) -> Iterator[Slice]:
    for item in items:
        try:
            yield read_slice(item)
        except MalformedAnswer:
            continue  # one malformed slice must not hide the others


def read_watch_line(line: bytes) -> WatchLine:
    """Raises MalformedAnswer, also for a partial line."""
    content = _read_object(line)
    kind = _KINDS.get(_text(content, "type"))
    if kind is None:
        raise MalformedAnswer("an event of an unknown type")
    found = _object(content, "object")
    if kind is LineKind.ERROR:
        status = found.get("code")
        return WatchLine(
            kind, "", None, status if isinstance(status, int) else 0, _text(found, "message")
        )
    version = _text(_object(found, "metadata"), "resourceVersion")
    if kind is LineKind.BOOKMARK:
        return WatchLine(kind, version)
    return WatchLine(kind, version, read_slice(found))


def read_slice(content: Any) -> Slice:
    """Raises MalformedAnswer."""
    if not isinstance(content, dict):
        raise MalformedAnswer("an EndpointSlice that is no object")
    metadata = _object(content, "metadata")
    name = _text(metadata, "name")
    if not name:
        raise MalformedAnswer("an EndpointSlice without a name")
    port = _find_port(content.get("ports"))
    endpoints = content.get("endpoints") or []
    if not isinstance(endpoints, list):
        raise MalformedAnswer(f"the endpoints of {name} are no list")
    return Slice(
        name=name,
        resource_version=_text(metadata, "resourceVersion"),
        endpoints=tuple(
            _read_endpoint(endpoint, port, _text(metadata, "namespace")) for endpoint in endpoints
        )
        if port
        else (),
        metadata=_read_metadata(metadata),
    )


def _read_object(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswer(f"no JSON: {type(error).__name__}") from error
    if not isinstance(content, dict):
        raise MalformedAnswer("no JSON object")
    return content


def _object(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedAnswer(f"{name} is no object")
    return found


def _text(content: dict[str, Any], name: str) -> str:
    found = content.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise MalformedAnswer(f"{name} is no text")
    return found


def _find_port(ports: Any) -> int:
    """0: there is none."""
    for port in ports if isinstance(ports, list) else []:
        if isinstance(port, dict) and port.get("name") == PORT_NAME:
            number = port.get("port")
            if isinstance(number, int) and 0 < number < 65536:
                return number
    return 0


def _read_endpoint(content: Any, port: int, namespace: str) -> SliceEndpoint:
    if not isinstance(content, dict):
        raise MalformedAnswer("an endpoint that is no object")
    conditions = _object(content, "conditions")
    target = _object(content, "targetRef")
    name = _text(target, "name") if target.get("kind", "Pod") == "Pod" else ""
    return SliceEndpoint(
        name=name or _text(content, "hostname"),
        namespace=_text(target, "namespace") or namespace,
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
            continue  # a slice of kind FQDN holds names: the API's reference says to ignore it
    return tuple(addresses)


def _read_metadata(metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Annotations and labels: Kubernetes copies the labels of a Service to its slices, and not its annotations."""
    named: dict[str, Any] = {}
    for source in ("labels", "annotations"):
        if isinstance(metadata.get(source), dict):
            named |= metadata[source]
    kept = sorted(
        (name, value)
        for name, value in named.items()
        if name.startswith(METADATA_PREFIX)
        and isinstance(value, str)
        and len(name) + len(value) <= MAX_METADATA_TEXT
    )
    return tuple(kept[:MAX_METADATA])
