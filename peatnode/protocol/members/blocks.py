"""The nodes that an operator has blocked on this node, whether they are members or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from peatnode.model.members import MAX_BLOCK_REASON, MAX_BLOCKED_PEERS, BlockedPeer


class Blocks:
    """One block for each node id, until an operator ends it, however long the node has been forgotten."""

    def __init__(self) -> None:
        self._by_node: dict[str, BlockedPeer] = {}

    def __iter__(self) -> Iterator[BlockedPeer]:
        return iter(self._by_node.values())

    def __len__(self) -> int:
        return len(self._by_node)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._by_node

    def get(self, node_id: str) -> BlockedPeer | None:
        return self._by_node.get(node_id)

    @property
    def is_full(self) -> bool:
        return len(self._by_node) >= MAX_BLOCKED_PEERS

    def add(self, node_id: str, reason: str, at: float) -> None:
        """Blocks a node, or gives the block another reason."""
        known = self._by_node.get(node_id)
        since = at if known is None else known.at
        self._by_node[node_id] = BlockedPeer(node_id, reason[:MAX_BLOCK_REASON], since)

    def remove(self, node_id: str) -> bool:
        """Whether the node was blocked."""
        return self._by_node.pop(node_id, None) is not None

    def load(self, kept: Iterable[BlockedPeer]) -> None:
        """Adds those that an earlier process kept."""
        for block in kept:
            self._by_node.setdefault(block.node_id, block)
