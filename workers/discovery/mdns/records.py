"""The mDNS records of nodes (RFC 6762, 6763): encodes those of this node, and parses those of others.
No I/O.

Records are not authenticated; the handshake authenticates peers. The tag only keeps nodes of
different formations from dialling each other. It does not reveal the formation key.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping

from peatnode.ipc.messages import Address
from peatnode.texts import cleaned, is_name
from workers.discovery.sighting import Sighting

SERVICE_TYPE = "_peat._udp.local."

MAX_TEXT = 250
"""Bytes of one value; key and value together have at most 255 (RFC 6763, section 6.1)."""

_MAX_LABEL = 63


def formation_tag(formation_key: bytes) -> str:
    """8 hex digits by which nodes recognise the announcements of their formation."""
    return hmac.new(formation_key, b"peat-mdns-tag-v1", hashlib.sha256).hexdigest()[:8]


def service_label(node_id: str, instance: str) -> str:
    """The label of the service, which is unique even among nodes with the same id.
    The TXT record contains the id."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", node_id).strip("-")
    return f"{name[: _MAX_LABEL - 9]}-{instance[:8]}"


def write_text(node_id: str, cluster: str, instance: str, version: str, tag: str) -> dict[str, str]:
    return {
        "id": node_id,
        "cluster": cluster,
        "instance": instance,
        "version": version,
        "tag": tag,
    }


def is_announceable(node_id: str) -> bool:
    return len(node_id.encode()) <= MAX_TEXT


def read_sighting(
    name: str, text: Mapping[bytes, bytes | None], hosts: Iterable[str], port: int, tag: str
) -> Sighting | None:
    """The sighting in a service record; None if it is of another formation or not of a node."""
    values = {key: value.decode("utf-8", "replace") for key, value in text.items() if value}
    node_id, instance = values.get(b"id", ""), values.get(b"instance", "")
    if values.get(b"tag") != tag or not re.fullmatch(r"[0-9a-f]{32}", instance):
        return None
    if not is_name(node_id) or not is_announceable(node_id) or not 0 < port < 65536:
        return None
    addresses = dict.fromkeys(Address(host, port) for host in hosts if _is_usable(host))
    if not addresses:
        return None
    metadata = {
        name: cleaned(values[key])
        for key, name in ((b"cluster", "cluster"), (b"version", "version"))
        if key in values
    }
    return Sighting(
        key=name,
        node_id=node_id,
        instance=instance,
        # Sorted, because the records of one name arrive in any order.
        addresses=tuple(sorted(addresses, key=_preference)),
        metadata=tuple(sorted(metadata.items())),
    )


def _preference(address: Address) -> tuple[bool, bool, str]:
    is_loopback = ipaddress.ip_address(address.host).is_loopback
    return is_loopback, ":" in address.host, address.host


def _is_usable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    is_scoped = address.version == 6 and address.is_link_local
    return not (is_scoped or address.is_unspecified or address.is_multicast)
