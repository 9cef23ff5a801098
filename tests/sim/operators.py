"""The operators of a mesh: they decide on each node about the members whose deletions are paused there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tests.sim.node import Node


class Operators:
    """Does on each node what docs/security.md says, until no deletions are paused."""

    def __init__(self, nodes: Sequence[Node], blocked: Collection[str]) -> None:
        """`nodes`: those that have operators. `blocked`: node ids of the members that are not trusted any more."""
        self._nodes = nodes
        self._blocked = blocked
        self.allowed: list[tuple[str, str]] = []
        """(node, peer) of each order that allows the deletions of a peer."""

    def block(self) -> None:
        for node in self._nodes:
            for name in self._blocked:
                node.block(name)

    def decide(self) -> None:
        """What the blocked ones deleted up to the limit is allowed, so that it is the same everywhere."""
        for node in self._nodes:
            for paused in node.store.paused if node.store.is_open else ():
                node.allow_deletions(paused.node_id)
                self.allowed.append((node.name, paused.node_id))
