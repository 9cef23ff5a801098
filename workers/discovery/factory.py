"""Makes the sources that are configured, each with only the libraries that it needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from peatnode import __version__
from peatnode.config import Config
from peatnode.errors import BadConfiguration
from peatnode.identity import formation_key
from peatnode.ipc.messages import Address
from workers.discovery.network import Adapter, choose_reach, own_addresses
from workers.discovery.source import Report, Source


@dataclass(slots=True)
class Place:
    """Where this node is."""

    instance: str
    port: int
    """UDP, of sync."""
    adapters: tuple[Adapter, ...]

    def own_addresses(self, quic_host: str) -> frozenset[Address]:
        return own_addresses(self.adapters, quic_host, self.port)


def make_source(name: str, config: Config, place: Place, report: Report) -> Source:
    """Raises BadConfiguration where it cannot work here."""
    return _MAKERS[name](config, place, report)


def _make_kubernetes(config: Config, _: Place, report: Report) -> Source:
    from workers.discovery.kubernetes.api_client import ApiClient
    from workers.discovery.kubernetes.service_account import ServiceAccount
    from workers.discovery.kubernetes.slice_table import Naming
    from workers.discovery.kubernetes.source import KubernetesSource

    account = ServiceAccount(config.service_account_dir, os.environ)
    naming = Naming(config.cluster, own_name=config.hostname, own_namespace=account.namespace)
    namespace = config.kubernetes_namespace or account.namespace
    return KubernetesSource(ApiClient(account), naming, namespace, config.kubernetes_label, report)


def _make_mdns(config: Config, place: Place, report: Report) -> Source:
    from workers.discovery.mdns.records import (
        formation_tag,
        is_announceable,
        service_label,
        write_text,
    )
    from workers.discovery.mdns.source import Announcement, MdnsSource

    node_id = config.node_id
    if not is_announceable(node_id):
        raise BadConfiguration(
            f"the node id {node_id!r} is too long for mDNS: shorten HOSTNAME or PEAT_CLUSTER"
        )
    tag = formation_tag(formation_key(config.secret.reveal()))
    announcement = Announcement(
        label=service_label(node_id, place.instance),
        port=place.port,
        text=write_text(node_id, config.cluster, place.instance, __version__, tag),
        tag=tag,
    )
    return MdnsSource(
        announcement,
        place.adapters,
        lambda adapters: choose_reach(adapters, config.mdns_interfaces, config.quic_host),
        report,
    )


def _make_static(config: Config, _: Place, report: Report) -> Source:
    from workers.discovery.static.names import Entry
    from workers.discovery.static.source import StaticSource

    entries = [Entry(peer.node_id, peer.host, peer.port) for peer in config.static_peers]
    return StaticSource(entries, report)


_MAKERS: dict[str, Callable[[Config, Place, Report], Source]] = {
    "kubernetes": _make_kubernetes,
    "mdns": _make_mdns,
    "static": _make_static,
}
