import pytest

from peatnode.model import amounts
from peatnode.model.amounts import first_names, moment, plural, since, span

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


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


def test_moments() -> None:
    assert moment(NOW - 60, NOW) == "07:59 UTC"
    assert moment(NOW - 86400, NOW) == "2027-01-14 08:00 UTC"
    assert since(NOW - 3661, NOW) == "since 06:58 UTC (1 h 1 min)"
    assert since(NOW + 5, NOW) == "since 08:00 UTC (<1 s)", "the clock was set meanwhile"


def test_numbers() -> None:
    assert (plural(1, "peer"), plural(0, "peer"), plural(1234, "peer")) == (
        "1 peer",
        "0 peers",
        "1,234 peers",
    )
    assert first_names(["a", "b", "c"]) == "a, b, c"
    assert first_names(["a", "b", "c", *"defghij"]) == "a, b, c and 7 more"


@pytest.mark.parametrize(
    ("counts", "rate", "left", "text"),
    [
        (
            (49_391, 100_014, 50_623),
            5200.4,
            9.7,
            "49,391 of 100,014 documents, 5,200/s, about 9 s left",
        ),
        ((0, 7, 7), 0.0, -1.0, "0 of 7 documents, 0/s"),
        ((7, 7, 1), 3.0, 0.2, "at least 1 document differs, 3/s, about 1 s left"),
        ((9, 7, 1234), 3.0, 411.0, "at least 1,234 documents differ, 3/s, about 6 min 51 s left"),
        ((-1, 7, -1), 0.0, -1.0, "comparing documents, 0/s"),
    ],
)
def test_progress(counts: tuple[int, int, int], rate: float, left: float, text: str) -> None:
    assert amounts.progress(*counts, rate, left) == text
