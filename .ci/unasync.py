"""Generates the blocking client (`peatnode/client/_sync`) from the one for asyncio (`peatnode/client/_async`).

    unasync.py [CLIENT]            writes the modules of CLIENT, by default peatnode/client
    unasync.py --check [CLIENT]    exits with 1 and names each module that differs from what would be written

The method is that of httpcore's `scripts/unasync.py`: a table of words, applied to the text. ruff then formats the
result. `__init__.py` is written by hand on both sides.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path("peatnode/client")

WORDS = (
    (r"contextlib import asynccontextmanager", "contextlib import contextmanager"),
    (r"@asynccontextmanager", "@contextmanager"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"^import asyncio$", "import time"),
    (r"\bwebsockets\.asyncio\b", "websockets.sync"),
    (r"\b_async\b", "_sync"),
    (r"(?<!`)\bAsyncClient\b", "Client"),  # in the prose of both, `AsyncClient` is itself
    (r"\bAsync(Iterator|Generator)\b", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\.a(close|read|iter_bytes)\(", r".\1("),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
)

DELEGATION = (r"^( *)for (\w+) in (.+):\n +yield \2$", r"\1yield from \3")
"""Closing a generator then closes the one that it delegates to, at once."""

HEADER = "# Generated from {source} by .ci/unasync.py: edit that file, then run `make client`.\n"


def unasync(text: str) -> str:
    """The blocking form of the text of a module, before it is formatted."""
    for pattern, replacement in (*WORDS, DELEGATION):
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def generate(client: Path) -> dict[Path, str]:
    """What each module of `_sync` has to hold."""
    return {
        client / "_sync" / source.name: _formatted(
            HEADER.format(source=(CLIENT / "_async" / source.name).as_posix())
            + unasync(source.read_text())
        )
        for source in sorted((client / "_async").glob("*.py"))
        if source.name != "__init__.py"
    }


def _formatted(text: str) -> str:
    for command in (("check", "--select", "I", "--fix", "--quiet"), ("format", "--quiet")):
        name = ("--stdin-filename", str(CLIENT / "_sync" / "generated.py"))
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *name, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        ).stdout
    return text


def differing(client: Path) -> list[Path]:
    """Modules of `_sync` that are missing, changed by hand, out of date, or without a source."""
    wanted = generate(client)
    present = {
        path: path.read_text()
        for path in (client / "_sync").glob("*.py")
        if path.name != "__init__.py"
    }
    return sorted(
        path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path)
    )


def main(arguments: list[str]) -> int:
    client = next((Path(one) for one in arguments if not one.startswith("-")), CLIENT)
    if "--check" not in arguments:
        for path, text in generate(client).items():
            path.write_text(text)
        return 0
    found = differing(client)
    for path in found:
        print(f"{path} is not what _async generates: run `make client`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
