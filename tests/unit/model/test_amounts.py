import pytest

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
