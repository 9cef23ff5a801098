"""When a peer is told of the neighbours of this node, and of what."""

from __future__ import annotations

from peatnode.model.peer_limits import MAX_NEIGHBOURS
from peatnode.protocol.sync.events import ConnectionDown, ConnectionUp, MessageReceived, Send
from peatnode.protocol.sync.neighbours.told import FIRST_SECONDS, NEXT_SECONDS
from peatnode.protocol.wire import messages as wire
from tests.unit.protocol.sync.test_machine import Bench, member


def instance(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Mesh(Bench):
    """A machine with peers, and what each was told of their list."""

    def join(self, number: int) -> None:
        self.tell(ConnectionUp(number, member(instance(number), node_id=f"n{number}")))

    def part(self, number: int) -> None:
        self.tell(ConnectionDown(number, "gone"))

    def told(self, seconds: float) -> dict[int, wire.Neighbours]:
        """By connection, during so many seconds."""
        found: dict[int, wire.Neighbours] = {}
        end = self.now + seconds
        while (due := self.machine.next_wake) is not None and due <= end:
            self.wake(max(0.0, due - self.now))
            for action in self.done:
                if isinstance(action, Send) and isinstance(action.message, wire.Neighbours):
                    assert action.peer not in found, "at most one message in this time"
                    found[action.peer] = action.message
        self.now = end
        return found


def test_all_of_them_once_then_what_has_changed() -> None:
    mesh = Mesh()
    mesh.join(1)
    mesh.join(2)
    both = wire.Neighbours(True, (("n1", instance(1)), ("n2", instance(2))), ())
    assert mesh.told(FIRST_SECONDS) == {1: both, 2: both}
    assert mesh.told(NEXT_SECONDS) == {}
    mesh.join(3)
    told = mesh.told(FIRST_SECONDS)
    assert told[1] == told[2] == wire.Neighbours(False, (("n3", instance(3)),), ())
    assert told[3].is_whole
    assert len(told[3].added) == 3


def test_the_first_change_is_told_at_once_and_the_next_ones_together() -> None:
    mesh = Mesh()
    mesh.join(1)
    mesh.told(FIRST_SECONDS + NEXT_SECONDS)
    mesh.join(2)
    assert 1 in mesh.told(FIRST_SECONDS)
    mesh.join(3)
    mesh.part(2)
    mesh.told(0.1)
    mesh.join(4)
    assert 1 not in mesh.told(NEXT_SECONDS - 0.3)
    told = mesh.told(0.3)
    assert told[1] == wire.Neighbours(
        False, (("n3", instance(3)), ("n4", instance(4))), (instance(2),)
    )


def test_what_has_changed_back_is_not_told() -> None:
    mesh = Mesh()
    mesh.join(1)
    mesh.told(FIRST_SECONDS + NEXT_SECONDS)
    mesh.join(2)
    mesh.part(2)
    assert mesh.told(NEXT_SECONDS) == {}


def test_another_connection_is_told_all_of_them_again() -> None:
    mesh = Mesh()
    mesh.join(1)
    mesh.told(1.0)
    mesh.part(1)
    mesh.join(1)
    assert mesh.told(FIRST_SECONDS)[1].is_whole


def test_of_too_many_the_first_ones_are_told() -> None:
    mesh = Mesh()
    for number in range(1, MAX_NEIGHBOURS + 3):
        mesh.join(number)
    told = mesh.told(FIRST_SECONDS)
    assert {len(message.added) for message in told.values()} == {MAX_NEIGHBOURS}
    mesh.told(NEXT_SECONDS)
    mesh.part(1)
    (added,) = mesh.told(FIRST_SECONDS)[2].added
    assert added[0] == f"n{MAX_NEIGHBOURS + 1}"


def test_what_has_no_room_is_counted_and_the_connection_stays() -> None:
    mesh = Mesh()
    mesh.join(1)
    many = tuple((f"m{number}", instance(10_000 + number)) for number in range(MAX_NEIGHBOURS + 1))
    mesh.tell(MessageReceived(1, wire.Neighbours(True, many, ())))
    (status,) = mesh.machine.sync_statuses()
    assert len(status.neighbours) == MAX_NEIGHBOURS
    assert mesh.machine.faults == {"too many neighbours": 1}
