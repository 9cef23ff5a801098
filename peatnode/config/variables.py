"""The table of variables; the flags of the CLI and docs/configuration.md are derived from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peatnode.config.reading import (
    read_address,
    read_cluster,
    read_count,
    read_discovery,
    read_expected_peers,
    read_filter,
    read_format,
    read_interfaces,
    read_name,
    read_path,
    read_port,
    read_relays,
    read_retention,
    read_secret,
    read_static_peers,
    read_text,
    read_token,
)
from peatnode.config.sources import list_sources

LARGEST_BODY_BYTES = 8 * 1024 * 1024
"""The most that PEAT_MAX_BODY_BYTES may be."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the table."""

    name: str
    default: str | None
    """None: the variable is required. Empty: it is unset by default."""
    help: str
    read: Callable[[str, str], Any]
    """Converts (name, text) to the value, or raises BadConfiguration."""
    field: str
    aliases: tuple[str, ...] = ()
    has_file: bool = False
    """Whether `NAME_FILE` may name a file that contains the value."""
    is_secret: bool = False
    file_field: str = ""
    """The field of Config with the path of that file, if it is read again while the node runs."""


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PEAT_FORMATION_SECRET",
        None,
        "base64 of at least 16 random bytes, shared by all nodes; `peatnode secret` generates one",
        read_secret,
        "secret",
        has_file=True,
        is_secret=True,
    ),
    Variable(
        "HOSTNAME", "peat-mesh-0", "the node's name, context of its keys", read_name, "hostname"
    ),
    Variable(
        "PEAT_CLUSTER",
        "",
        "name of the cluster; the node id is then HOSTNAME.CLUSTER",
        read_cluster,
        "cluster",
    ),
    Variable(
        "PEAT_DISCOVERY",
        "kubernetes",
        f"where peers are found: {list_sources()}, or several joined by commas",
        read_discovery,
        "discovery",
    ),
    Variable(
        "PEAT_STATIC_PEERS",
        "",
        "[id@]host:port,… ; host names are resolved repeatedly",
        read_static_peers,
        "static_peers",
    ),
    Variable(
        "PEAT_EXPECTED_PEERS",
        "",
        "how many peers this node should have, or the node ids of the mesh, joined by commas",
        read_expected_peers,
        "expected_peers",
        has_file=True,
        file_field="expected_peers_file",
    ),
    Variable(
        "PEAT_PEER_RETENTION",
        "7d",
        "how long an absent peer is remembered: 1m to 3650d, or never forgotten: never",
        read_retention,
        "peer_retention",
    ),
    Variable("PEAT_DATA_DIR", "/data", "where documents are kept", read_path, "data_dir"),
    Variable(
        "PEAT_RUN_DIR",
        "",
        "where the node's Unix sockets are; by default `run` in the data directory"
        ", or in /tmp if that takes no files",
        read_path,
        "run_dir",
    ),
    Variable("PEAT_BROKER_HOST", "0.0.0.0", "address of the API", read_address, "broker_host"),  # noqa: S104  # what a pod needs
    Variable("PEAT_BROKER_PORT", "8081", "TCP port of the API", read_port, "broker_port"),
    Variable(
        "PEAT_BROKER_WORKERS",
        "1",
        "processes that serve the API",
        read_count(1, 32),
        "broker_workers",
    ),
    Variable(
        "PEAT_API_TOKEN",
        "",
        "bearer token of the API; empty: open",
        read_token,
        "api_token",
        has_file=True,
        is_secret=True,
    ),
    Variable(
        "PEAT_READ_TOKEN",
        "",
        "bearer token that may read and not write",
        read_token,
        "read_token",
        has_file=True,
        is_secret=True,
    ),
    Variable(
        "PEAT_MAX_BODY_BYTES",
        "1048576",
        "longest document, in bytes of JSON",
        read_count(1024, LARGEST_BODY_BYTES),
        "max_body_bytes",
    ),
    Variable(
        "PEAT_MAX_PEER_DELETIONS",
        "5000",
        "documents that one peer may delete here in a minute, or let end sooner by a `ttl`; "
        "beyond it its deletions are paused; 0: any number",
        read_count(0, 2**31),
        "max_peer_deletions",
    ),
    Variable(
        "PEAT_ENGINE_MEMORY_BYTES",
        "268435456",
        "memory that one operation on a document may take, in bytes",
        read_count(16 * 2**20, 2**32),
        "engine_memory_bytes",
    ),
    Variable(
        "PEAT_UNDELETE_SECONDS",
        "86400",
        "how long the content of deleted documents is kept for `peatnode doc undelete`; 0: not at all",
        read_count(0, 31_536_000),
        "undelete_seconds",
    ),
    Variable(
        "PEAT_UNDELETE_BYTES",
        "268435456",
        "room for that content, in bytes; the oldest goes first",
        read_count(0, 2**36),
        "undelete_bytes",
    ),
    Variable(
        "PEAT_QUIC_HOST",
        "0.0.0.0",  # noqa: S104  # as above
        "address of sync; :: is IPv6 and IPv4",
        read_address,
        "quic_host",
    ),
    Variable(
        "PEAT_QUIC_PORT",
        "11204",
        "UDP port of sync",
        read_port,
        "quic_port",
        aliases=("PEAT_IROH_BIND_PORT",),
    ),
    Variable(
        "PEAT_RELAY_URLS",
        "",
        "relays for peers behind NAT (not used yet)",
        read_relays,
        "relay_urls",
        aliases=("PEAT_IROH_RELAY_URLS",),
    ),
    Variable(
        "PEAT_K8S_LABEL",
        "app=peat-mesh",
        "label selector of the EndpointSlices",
        read_text,
        "kubernetes_label",
    ),
    Variable(
        "PEAT_K8S_NAMESPACE",
        "",
        "their namespace; empty: the pod's own",
        read_text,
        "kubernetes_namespace",
    ),
    Variable(
        "PEAT_SERVICE_ACCOUNT_DIR",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "where the pod's token, ca.crt and namespace are",
        read_path,
        "service_account_dir",
    ),
    Variable(
        "PEAT_MDNS_INTERFACES",
        "",
        "addresses of the interfaces that mDNS uses; empty: all suitable ones",
        read_interfaces,
        "mdns_interfaces",
    ),
    Variable(
        "PEAT_LOG",
        "info,peatnode=debug",
        "log filter: a level, then name=level pairs",
        read_filter,
        "log_filter",
        aliases=("RUST_LOG",),
    ),
    Variable("PEAT_LOG_FORMAT", "text", "text or json", read_format, "log_format"),
)


def flag_of(name: str) -> str:
    """The flag of `peatnode run` for a variable: PEAT_DATA_DIR is --data-dir."""
    return "--" + name.removeprefix("PEAT_").lower().replace("_", "-")


def flag_names(variable: Variable) -> tuple[str, ...]:
    """What the flags of a variable set: itself, the path of its file, or both.

    A secret has only a flag for its file, because other users can see a command line.
    """
    file_names = (f"{variable.name}_FILE",) if variable.has_file else ()
    return file_names if variable.is_secret else (variable.name, *file_names)
