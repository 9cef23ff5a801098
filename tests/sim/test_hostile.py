"""Members that hog, lie, leap, delete, forge and impersonate: the honest nodes become equal, and lose nothing."""

from __future__ import annotations

import os
from typing import Any

import pytest

from peatnode.model.members import Departure, PeerEventKind
from peatnode.protocol.sync.pulls.turns import PullTurns
from tests.sim.hostile import HostileHistory, HostileWorld
from tests.sim.insiders import Insider, Trick
from tests.sim.light import LightStore
from tests.sim.node import Node
from tests.sim.test_convergence import FIRST, alone
from tests.sim.tricks import Forger, Impostor, Leaper, Liar, Purger

RUNS = int(os.environ.get("PEAT_SIM_HOSTILE_RUNS", "2000"))
PER_TEST = 100


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_honest_nodes_converge_among_members_that_obey_no_rule(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            HostileHistory(f"hostile history {number}").run()
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_HOSTILE_RUNS=1")
            raise


class AdmitsAll(HostileWorld):
    """Whoever shows an instance has it, with the endpoint key of its node, which the secret derives."""

    def is_admitted(self, node: Node) -> bool:
        if isinstance(node, Insider) and node.claims is not None:
            node.name = self.nodes[node.claims].name
        return True


class TakesLeaps(LightStore):
    """Any incarnation is taken."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.takes_leaps = True


class CountsNoDeletions(LightStore):
    """A member may end any number of documents."""

    def limit_deletions(self, limit: int) -> None:
        pass


class EndlessTurns(PullTurns):
    """A pull ends when it is done, and the others wait for that."""

    def review(self, now: float) -> None:
        pass

    def _is_deferred(self, place: Any, now: float) -> bool:
        return any(p.began_at is not None for p in self._places.values() if p is not place)


class Waiting(Node):
    def start(self, *, is_new_instance: bool) -> None:
        super().start(is_new_instance=is_new_instance)
        self.machine.turns = EndlessTurns(lambda at: None)


class Believing(Node):
    """It forgets whoever is said to have left."""

    def start(self, *, is_new_instance: bool) -> None:
        super().start(is_new_instance=is_new_instance)
        book = self.machine.members.book

        def departed(departure: Departure, teller: str) -> bool:
            record = book.get(departure.node_id)
            if record is not None:
                book._depart(record, PeerEventKind.FORGOTTEN, teller, departure)
            return record is not None

        book.departed = departed  # type: ignore[method-assign]


CONTROLS: list[tuple[type[Trick], dict[str, Any], str]] = [
    (Impostor, {"world": AdmitsAll}, "differ"),
    (Leaper, {"make_store": TakesLeaps}, "has taken"),
    (Purger, {"make_store": CountsNoDeletions}, "has lost"),
    (Liar, {"node": Waiting}, "differ"),
    (Forger, {"node": Believing}, "has forgotten"),
]


@pytest.mark.parametrize(("trick", "without", "said"), CONTROLS)
def test_control_without_its_defence_each_kind_of_harm_is_found(
    trick: type[Trick], without: dict[str, Any], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        _run(trick, without, 200)


def _run(trick: type[Trick], without: dict[str, Any], count: int) -> None:
    for number in range(count):
        HostileHistory(f"hostile history {number}", (trick,), **without).run()
