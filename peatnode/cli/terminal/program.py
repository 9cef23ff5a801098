"""The command with which the user started this program."""

from __future__ import annotations

import shutil
import sys


def program() -> str:
    """The command to type in a shell: `peatnode` if it is on the PATH, else the path of this program."""
    return "peatnode" if shutil.which("peatnode") else sys.argv[0]
