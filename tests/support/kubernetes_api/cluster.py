"""Pods and the EndpointSlices that a controller would write for them: the truth that discovery has to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass
class Pod:
    name: str
    hosts: tuple[str, ...]
    is_ready: bool = True
    is_terminating: bool = False


@dataclass
class Cluster:
    """`write` gets (name, object) for each slice that is new or changed, and (name, None) for each that goes."""

    write: Callable[[str, Object | None], None]
    slice_size: int = 100
    port: int = 11204
    pods: dict[str, Pod] = field(default_factory=dict)
    slices: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """(pod, host) by name of the slice."""
    _created: int = 0

    def add(self, name: str, *hosts: str) -> None:
        self.pods[name] = Pod(name, hosts)
        for host in hosts:
            slice_name = self._find_room(":" in host)
            self.slices[slice_name].append((name, host))
            self._publish(slice_name)

    def add_many(self, pods: dict[str, str]) -> None:
        """By name and address; each slice is written once."""
        changed = set()
        for name, host in pods.items():
            self.pods[name] = Pod(name, (host,))
            slice_name = self._find_room(":" in host)
            self.slices[slice_name].append((name, host))
            changed.add(slice_name)
        for slice_name in changed:
            self._publish(slice_name)

    def remove(self, name: str) -> None:
        del self.pods[name]
        for slice_name, places in list(self.slices.items()):
            if any(pod == name for pod, _ in places):
                self.slices[slice_name] = [place for place in places if place[0] != name]
                self._publish(slice_name)

    def change(self, name: str, *, is_ready: bool = True, is_terminating: bool = False) -> None:
        self.pods[name].is_ready = is_ready
        self.pods[name].is_terminating = is_terminating
        for slice_name, places in self.slices.items():
            if any(pod == name for pod, _ in places):
                self._publish(slice_name)

    def move(self, rng: random.Random) -> None:
        """One endpoint goes to another slice; the new place is written first, as the controller does, or last."""
        filled = [name for name, places in self.slices.items() if places]
        if not filled:
            return
        source = rng.choice(filled)
        place = rng.choice(self.slices[source])
        target = self._create("v6" if ":" in place[1] else "v4")
        self.slices[target].append(place)
        self.slices[source].remove(place)
        for name in (target, source) if rng.random() < 0.5 else (source, target):
            self._publish(name)

    def scale(self, replicas: int, name: str = "peat-mesh", first: int = 0) -> None:
        """Writes the StatefulSet, as `kubectl scale` and Helm do; its pods stay what they are."""
        self.write(name, make_set(name, replicas, first))

    def truth(self) -> dict[str, tuple[frozenset[str], bool, bool]]:
        return {
            pod.name: (frozenset(pod.hosts), pod.is_ready, pod.is_terminating)
            for pod in self.pods.values()
        }

    def _find_room(self, is_v6: bool) -> str:
        kind = "v6" if is_v6 else "v4"
        for name, places in self.slices.items():
            if kind in name and len(places) < self.slice_size:
                return name
        return self._create(kind)

    def _create(self, kind: str) -> str:
        self._created += 1
        name = f"peat-mesh-{kind}-{self._created:04}"
        self.slices[name] = []
        return name

    def _publish(self, name: str) -> None:
        places = self.slices[name]
        if not places:
            del self.slices[name]
            self.write(name, None)
            return
        endpoints = [
            self.endpoint(self.pods[pod], host) for pod, host in places if pod in self.pods
        ]
        kind = "IPv6" if "v6" in name else "IPv4"
        self.write(name, make_slice(name, endpoints, self.port, address_type=kind))

    @staticmethod
    def endpoint(pod: Pod, host: str) -> Object:
        return {
            "addresses": [host],
            "conditions": {
                "ready": pod.is_ready,
                "serving": pod.is_ready,
                "terminating": pod.is_terminating,
            },
            "hostname": pod.name,
            "nodeName": "node-1",
            "targetRef": {
                "kind": "Pod",
                "name": pod.name,
                "namespace": "mesh",
                "uid": f"uid-{pod.name}",
            },
        }


def make_set(name: str, replicas: int, first: int = 0) -> Object:
    """As the API server shows it, but for the resourceVersion."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "mesh", "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            **({"ordinals": {"start": first}} if first else {}),
        },
        "status": {"replicas": replicas},
    }


def make_slice(
    name: str,
    endpoints: list[Object],
    port: int = 11204,
    address_type: str = "IPv4",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> Object:
    """As the controller writes it, but for the resourceVersion; the port named `quic` is not the first."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "mesh",
            "labels": {
                "app": "peat-mesh",
                "kubernetes.io/service-name": "peat-mesh",
                **(labels or {}),
            },
            "annotations": annotations or {},
        },
        "addressType": address_type,
        "endpoints": endpoints,
        "ports": [
            {"name": "http", "port": 8081, "protocol": "TCP"},
            {"name": "quic", "port": port, "protocol": "UDP"},
        ],
    }
