"""Log lines on standard error: a constant message, then `name=value` fields. Each line is one write.

    2026-01-31T12:00:00.123Z INFO  sync     Peer connected peer=peat-mesh-1 endpoint_id=58660e…

The filter is a level, then `name=level` pairs, such as `info,peatnode=debug`; the longest matching name
applies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson

from peatnode.errors import BadConfiguration
from peatnode.texts import escaped

# structlog imports rich if it is installed, for a console renderer that is not used here: 0.1 s and 5 MB a
# process.
_has_rich = "rich" in sys.modules
if not _has_rich:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if not _has_rich:
    del sys.modules["rich"]

LEVELS = {"trace": 0, "debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "off": 50}
"""The numbers are those of structlog. Nothing is logged at `trace` or above `error`."""

_COLOURS = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m"}
_COLOUR_RESET = "\x1b[0m"


def parse_filter(text: str) -> Mapping[str, int]:
    """The level of each named logger; "" is the default level. Raises BadConfiguration."""
    levels: dict[str, int] = {"": LEVELS["info"]}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, level = (piece.strip() for piece in part.rpartition("="))
        if level.lower() not in LEVELS or (separator and not name):
            raise BadConfiguration(
                f"PEAT_LOG={text!r}: {part!r} is neither a level nor name=level; "
                f"levels are {', '.join(LEVELS)}. For example: info,peatnode=debug"
            )
        levels[name.replace("peat_mesh", "peatnode")] = LEVELS[level.lower()]
    return levels


def level_of(levels: Mapping[str, int], name: str) -> int:
    """The effective level of a logger such as `peatnode.sync`:
    its own, that of its nearest parent, or the default."""
    while name:
        if name in levels:
            return levels[name]
        name = name.rpartition(".")[0]
    return levels[""]


class _Output:
    def __init__(self) -> None:
        self.levels: Mapping[str, int] = {"": LEVELS["info"]}
        self.worker = ""
        self.is_json = False


_output = _Output()


class _Stderr:
    """Writes lines to stderr. Drops a line that cannot be written,
    because a closed stderr must not stop a node."""

    def msg(self, line: str) -> None:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = log = msg


def configure(filter_text: str, log_format: str, worker: str) -> None:
    """Configures the log of this process, whose lines all contain `worker`. Raises BadConfiguration."""
    _output.levels = parse_filter(filter_text)
    _output.worker = worker
    _output.is_json = log_format == "json"
    structlog.configure(
        processors=[_filter, structlog.processors.TimeStamper(fmt="iso", utc=True), _render],
        wrapper_class=structlog.make_filtering_bound_logger(min(_output.levels.values())),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str = "") -> Any:
    """The logger `peatnode.NAME`, with the methods of structlog: `info("Peer connected", peer=…)`."""
    full = f"peatnode.{name}" if name else "peatnode"
    logger = structlog.get_logger(logger_name=full)
    # A call that the filter drops costs a bound logger a tenth of a lazy one; nothing can be bound before
    # `configure`.
    return logger.bind() if structlog.is_configured() else logger


def _filter(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    name = event.pop("logger_name", "peatnode")
    if LEVELS.get(_level(method), 20) < level_of(_output.levels, name):
        raise structlog.DropEvent
    return event


def _level(method: str) -> str:
    return {"warn": "warning", "exception": "error", "critical": "error"}.get(method, method)


def _render(_: Any, method: str, event: MutableMapping[str, Any]) -> str:
    level = _level(method)
    error = event.pop("exc_info", None)
    if error:
        event["exception"] = _trace(error)
    time, message = str(event.pop("timestamp"))[:23] + "Z", str(event.pop("event"))
    if _output.is_json:
        line = {
            "time": time,
            "level": level,
            "worker": _output.worker,
            "message": message,
            **event,
        }
        return _json(line)
    level = level.upper()
    colour, reset = (_COLOURS.get(level, ""), _COLOUR_RESET) if sys.stderr.isatty() else ("", "")
    fields = "".join(f" {key}={_text(value)}" for key, value in event.items())
    return f"{time} {colour}{level:<7}{reset} {_output.worker:<10} {message}{fields}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        plain = value and value.isprintable() and not any(mark in value for mark in ' "=')
        return value if plain else _json(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple, dict)):
        return _json(value)
    return _text(str(value))


def _json(value: Any) -> str:
    try:
        return escaped(orjson.dumps(value, default=str).decode())
    except TypeError:  # a lone surrogate, a number beyond 64 bits, a key that is no text
        return json.dumps(value, default=str, skipkeys=True)


def _trace(error: Any) -> str:
    import traceback

    if error is True:
        error = sys.exc_info()[1]
    return (
        "".join(traceback.format_exception(error))
        if isinstance(error, BaseException)
        else str(error)
    )
