"""For how long a node that has left for good is excused, although it is expected by name."""

from peatnode.model.members import Departure
from peatnode.protocol.members.departures import EXCUSE_SECONDS, Departures

LEFT = Departure("peat-mesh-4", "ab" * 16, at=1000.0)


def test_who_has_just_left_is_excused_until_the_list_has_had_time_to_follow() -> None:
    departures = Departures()
    assert not departures.is_excused("peat-mesh-4", 1000.0)
    departures.add(LEFT)
    assert departures.is_excused("peat-mesh-4", 1000.0)
    assert departures.is_excused("peat-mesh-4", 1000.0 + EXCUSE_SECONDS - 1)
    assert not departures.is_excused("peat-mesh-4", 1000.0 + EXCUSE_SECONDS)
    assert not departures.is_excused("peat-mesh-3", 1000.0)


def test_who_is_back_is_expected_again() -> None:
    departures = Departures()
    departures.add(LEFT)
    departures.drop("peat-mesh-4")
    assert not departures.is_excused("peat-mesh-4", 1001.0)
