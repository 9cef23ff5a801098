"""The peers in a set of EndpointSlices. No I/O.

The endpoints of a peer may be in several slices, and may be in two slices while they are moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workers.discovery.kubernetes.slices import Slice, SliceEndpoint
from workers.discovery.sighting import Condition, Sighting, SightingsChanged


@dataclass(frozen=True, slots=True)
class Naming:
    """Maps pods to node ids."""

    cluster: str
    own_name: str
    own_namespace: str

    def node_id(self, name: str) -> str:
        return f"{name}.{self.cluster}" if self.cluster else name

    def key(self, endpoint: SliceEndpoint) -> str:
        """The key of the endpoint's peer; empty if it is this node or has no address."""
        if not endpoint.addresses:
            return ""
        if not endpoint.name:
            return str(endpoint.addresses[0])
        if endpoint.name == self.own_name and endpoint.namespace == self.own_namespace:
            return ""
        return f"{endpoint.namespace}/{endpoint.name}"


@dataclass(slots=True)
class SliceTable:
    """All slices, and the sightings that are merged from them."""

    naming: Naming
    slices: dict[str, Slice] = field(default_factory=dict)
    sightings: dict[str, Sighting] = field(default_factory=dict)
    _endpoints: dict[str, dict[str, list[SliceEndpoint]]] = field(default_factory=dict)
    """The endpoints of each peer, by the key of the peer and the name of the slice."""

    def put(self, new: Slice) -> SightingsChanged:
        touched: dict[str, None] = {}
        self._link(new, touched)
        return self._refresh(touched)

    def remove(self, name: str) -> SightingsChanged:
        touched: dict[str, None] = {}
        self._unlink(name, touched)
        return self._refresh(touched)

    def replace(self, slices: Mapping[str, Slice]) -> SightingsChanged:
        """Replaces all slices. A peer that moved from one slice to another is not lost."""
        touched: dict[str, None] = {}
        for name in [name for name in self.slices if name not in slices]:
            self._unlink(name, touched)
        for new in slices.values():
            if self.slices.get(new.name) != new:
                self._link(new, touched)
        return self._refresh(touched)

    def _link(self, new: Slice, touched: dict[str, None]) -> None:
        self._unlink(new.name, touched)
        self.slices[new.name] = new
        for endpoint in new.endpoints:
            if key := self.naming.key(endpoint):
                self._endpoints.setdefault(key, {}).setdefault(new.name, []).append(endpoint)
                touched[key] = None

    def _unlink(self, name: str, touched: dict[str, None]) -> None:
        old = self.slices.pop(name, None)
        for endpoint in old.endpoints if old else ():
            if key := self.naming.key(endpoint):
                self._endpoints[key].pop(name, None)
                touched[key] = None

    def _refresh(self, keys: dict[str, None]) -> SightingsChanged:
        found, lost = [], []
        for key in keys:
            old = self.sightings.get(key)
            if not self._endpoints[key]:
                del self._endpoints[key]
                if self.sightings.pop(key, None):
                    lost.append(key)
                continue
            new = self._merge(key)
            if new != old:
                self.sightings[key] = new
                found.append(new)
        return SightingsChanged(tuple(found), tuple(lost))

    def _merge(self, key: str) -> Sighting:
        names = sorted(self._endpoints[key])
        endpoints = [endpoint for name in names for endpoint in self._endpoints[key][name]]
        # A recreated pod is listed twice for a while. The new one comes first.
        endpoints.sort(key=lambda endpoint: (endpoint.is_terminating, not endpoint.is_ready))
        addresses = dict.fromkeys(a for endpoint in endpoints for a in endpoint.addresses)
        metadata = {pair[0]: pair for name in names for pair in self.slices[name].metadata}
        return Sighting(
            key=key,
            node_id=self.naming.node_id(endpoints[0].name) if endpoints[0].name else "",
            instance="",
            addresses=tuple(sorted(addresses, key=lambda address: ":" in address.host)),
            condition=Condition(
                is_ready=any(endpoint.is_ready for endpoint in endpoints),
                is_terminating=all(endpoint.is_terminating for endpoint in endpoints),
            ),
            metadata=tuple(sorted(metadata.values())),
        )
