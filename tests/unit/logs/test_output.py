"""What a line looks like, and what is not written."""

import io
import json
import re
import sys

import pytest
import structlog

from peatnode import logs
from peatnode.errors import BadConfiguration

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def restored():
    yield
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text", "sync")
    logs.get_logger("sync").info(
        "Peer connected", peer="peat-mesh-1", endpoint_id="58660e", addresses=["10.0.0.9:11204"]
    )
    (line,) = said(capsys)
    assert re.fullmatch(
        TIME + r" INFO    sync       Peer connected peer=peat-mesh-1 endpoint_id=58660e "
        r'addresses=\["10\.0\.0\.9:11204"\]',
        line,
    )


def test_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", "store")
    logs.get_logger("store").warning("Disk is nearly full", free_bytes=12, path="/da ta")
    (line,) = said(capsys)
    found = json.loads(line)
    assert re.fullmatch(TIME, found.pop("time"))
    assert found == {
        "level": "warning",
        "worker": "store",
        "message": "Disk is nearly full",
        "free_bytes": 12,
        "path": "/da ta",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "value",
    [
        'a "quoted" = text',
        "two\nlines\r\x1b[31m",
        "\ud800 alone",
        "a\u2028b\x85c \u202etxet \x9b31m\U000e0041",
        b"\xff\x00",
        2**70,
        ["\ud800"],
        {"a": 2**70},
        {1: 2, (3, 4): 5},
        None,
        True,
        1.5,
        ValueError("two\nlines"),
        "",
    ],
    ids=repr,
)
def test_any_value_makes_one_line(
    capsys: pytest.CaptureFixture[str], log_format: str, value: object
) -> None:
    logs.configure("info", log_format, "x")
    logs.get_logger("x").info("Something", value=value)
    (line,) = said(capsys)
    assert line.isprintable()
    if log_format == "json":
        assert "value" in json.loads(line)


def test_a_failure_is_one_line_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", "x")
    try:
        raise RuntimeError("as the test wanted")
    except RuntimeError as error:
        logs.get_logger("x").exception("It failed")
        logs.get_logger("x").error("It failed", exc_info=error)
    for line in said(capsys):
        found = json.loads(line)
        assert found["level"] == "error"
        assert "Traceback" in found["exception"]
        assert "as the test wanted" in found["exception"]


@pytest.mark.parametrize(
    ("text", "name", "level", "is_shown"),
    [
        ("info", "sync", "info", True),
        ("info", "sync", "debug", False),
        ("info,peatnode=debug", "sync", "debug", True),
        ("info,peat_mesh=debug", "sync", "debug", True),
        ("debug,peatnode.sync=error", "sync", "warning", False),
        ("debug,peatnode.sync=error", "sync.peer", "warning", False),
        ("debug,peatnode.sync=error", "syncing", "warning", True),
        ("debug,peatnode.sync=error,peatnode.sync.peer=info", "sync.peer", "info", True),
        ("error,peatnode.store=debug", "store", "debug", True),
        ("off", "store", "error", False),
        ("WARN", "store", "info", False),
        ("trace", "store", "debug", True),
        ("off,peatnode.sync=info", "sync", "info", True),
        (" info , ,peatnode = debug ", "store", "debug", True),
        ("", "store", "info", True),
    ],
)
def test_the_filter(
    capsys: pytest.CaptureFixture[str], text: str, name: str, level: str, is_shown: bool
) -> None:
    logs.configure(text, "text", "x")
    getattr(logs.get_logger(name), level)("Something")
    assert len(said(capsys)) == is_shown


@pytest.mark.parametrize("text", ["loud", "info,x", "=debug", "info,peatnode=loud", "info;debug"])
def test_a_filter_that_is_none(text: str) -> None:
    with pytest.raises(BadConfiguration, match="levels are"):
        logs.parse_filter(text)


def test_a_logger_made_before_the_set_up_follows_it(capsys: pytest.CaptureFixture[str]) -> None:
    early = logs.get_logger("early")
    logs.configure("warn", "text", "x")
    early.info("Hidden")
    early.warning("Shown")
    assert [line.rpartition(" ")[2] for line in said(capsys)] == ["Shown"]


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    logs.configure("info", "text", "x")
    logs.get_logger("x").info("Something")
    assert "\x1b[32mINFO" in terminal.getvalue()


def test_a_log_that_nobody_takes_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    logs.configure("info", "text", "x")
    logs.get_logger("x").info("Something")


def test_each_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", counting := Counting())
    logs.configure("info", "text", "x")
    logs.get_logger("x").info("Something", text="x" * 10_000)
    assert counting.writes == 1
