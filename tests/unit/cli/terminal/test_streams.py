import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from peatnode.cli.terminal.streams import escape_unknown_characters
escape_unknown_characters()
print(sys.argv[1])
"""
TEXT = "a\u00e9\u2028\U0001f600"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_character_that_the_terminal_lacks_is_escaped_as_in_json(encoding: str) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(TEXT, ensure_ascii=False)]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert json.loads(done.stdout.decode(encoding)) == TEXT, done.stderr


def test_help_is_printed_in_an_encoding_that_lacks_some_of_it() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "peatnode.cli", "doc", "list", "--help"]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"PATH,\u2026" in done.stdout
