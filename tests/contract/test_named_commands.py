"""Commands that pages, messages and advice name exist, with their subcommands and options."""

import re
from pathlib import Path

import click
import pytest

from peatnode.cli.commands import cli

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
SOURCES = [*ROOT.glob("peatnode/**/*.py"), *ROOT.glob("workers/**/*.py")]
WIRE_PAGE = ROOT / "docs" / "protocol.md"
"""Its texts that begin with `peatnode` are signed, not typed."""

BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
LINE = re.compile(r"^(?:[A-Z_]+=\S+ )*peatnode ([^|#\n>]+)", re.MULTILINE)
INLINE = re.compile(r"`peatnode ([^`\n]+)`")


def named_commands() -> list[tuple[str, str]]:
    found = []
    for path in sorted({*PAGES, *SOURCES} - {WIRE_PAGE}):
        text = path.read_text(encoding="utf-8")
        commands = INLINE.findall(text)
        for block in BLOCK.findall(text) if path.suffix == ".md" else ():
            commands += LINE.findall(block)
        found += [(str(path.relative_to(ROOT)), command.strip()) for command in commands]
    return found


def fault_of(words: list[str]) -> str:
    """What the command line does not know; empty: nothing. Values of options and arguments are not read."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        if option.startswith("-") and option.strip("-"):
            known = {name: param for param in command.get_params(context) for name in param.opts}
            if option not in {*known, "-h", "--help"}:
                return f"{command.name} has no option {option}"
            if not value and not getattr(known.get(option), "is_flag", True):
                next(rest, "")
        elif isinstance(command, click.Group) and re.fullmatch("[a-z-]+", word):
            below = command.get_command(context, word)
            if below is None:
                return f"{command.name} has no command {word}"
            command, context = below, click.Context(below, parent=context)
    return ""


@pytest.mark.parametrize(("page", "command"), sorted(set(named_commands())))
def test_a_command_that_is_named_exists(page: str, command: str) -> None:
    assert fault_of(command.split()) == ""


def test_the_check_finds_what_does_not_exist() -> None:
    assert len(named_commands()) > 50
    assert fault_of(["peers", "forget", "peat-mesh-3"]) == ""
    assert fault_of(["peer", "forget"]) == "cli has no command peer"
    assert fault_of(["peers", "forgive", "x"]) == "peers has no command forgive"
    assert fault_of(["status", "--uri", "x"]) == "status has no option --uri"
