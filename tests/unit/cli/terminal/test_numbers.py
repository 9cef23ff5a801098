import pytest

from peatnode.cli.terminal.numbers import plural, round_trip, size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (-1, "–"),
        (0, "<1 s"),
        (0.4, "<1 s"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (3605, "1 h"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (86400 * 400 + 5, "400 d"),
    ],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


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


def test_numbers() -> None:
    assert (plural(1, "peer"), plural(0, "peer"), plural(1234, "peer")) == (
        "1 peer",
        "0 peers",
        "1,234 peers",
    )
    assert (round_trip(None), round_trip(0.42), round_trip(99.7)) == ("–", "0.4 ms", "100 ms")
