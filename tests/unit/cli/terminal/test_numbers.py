import pytest

from peatnode.cli.terminal.numbers import round_trip, size


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (22_000_000, "21.0 MiB"),
        (120 * 2**30, "120 GiB"),
        (5000 * 2**40, "5000 TiB"),
    ],
)
def test_sizes(octets: int, text: str) -> None:
    assert size(octets) == text


def test_round_trips() -> None:
    assert (round_trip(None), round_trip(0.42), round_trip(99.7)) == ("–", "0.4 ms", "100 ms")
