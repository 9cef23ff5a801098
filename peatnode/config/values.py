"""The checked values of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Secret:
    """Bytes that no log and no repr shows."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class StaticPeer:
    """One entry of PEAT_STATIC_PEERS."""

    node_id: str
    """Empty: any member of the formation is accepted."""
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ExpectedPeers:
    """PEAT_EXPECTED_PEERS: a number of peers, or the node ids of the mesh."""

    number: int = 0
    """Of other nodes; counts if no node id is given."""
    node_ids: tuple[str, ...] = ()
    """May contain the id of this node, which is not expected."""

    def others(self, own: str) -> tuple[str, ...]:
        """The expected node ids without `own`, sorted; empty if only a number is expected."""
        return tuple(sorted(set(self.node_ids) - {own}))

    def count(self, own: str) -> int:
        """How many peers the node with the id `own` expects."""
        return len(self.others(own)) if self.node_ids else self.number


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration of a node."""

    hostname: str
    cluster: str
    secret: Secret
    discovery: tuple[str, ...]
    static_peers: tuple[StaticPeer, ...]
    data_dir: Path
    run_dir: Path
    broker_host: str
    broker_port: int
    broker_workers: int
    api_token: Secret | None
    read_token: Secret | None
    quic_host: str
    quic_port: int
    relay_urls: tuple[str, ...]
    log_filter: str
    log_format: str
    kubernetes_label: str
    kubernetes_namespace: str
    service_account_dir: Path
    mdns_interfaces: tuple[str, ...]
    max_body_bytes: int
    max_peer_deletions: int
    """Documents that one peer may end here in a minute; 0: any number."""
    engine_memory_bytes: int
    undelete_seconds: int
    """For how long the content of deleted documents is kept; 0: not at all."""
    undelete_bytes: int
    expected_peers: ExpectedPeers
    expected_peers_file: Path | None
    """Read again while the node runs: `reread_expected_peers`. None: the variable itself was set, or neither."""
    peer_retention: float
    """Seconds for which an absent peer is remembered; infinite: until an operator has it forgotten."""

    @property
    def node_id(self) -> str:
        """HOSTNAME, or HOSTNAME.CLUSTER. All parts of the node use this id, key derivation included."""
        return f"{self.hostname}.{self.cluster}" if self.cluster else self.hostname
