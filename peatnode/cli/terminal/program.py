"""How the user calls us."""

from __future__ import annotations

import shutil
import sys


def program() -> str:
    """What to type in a shell: the name where it is found, else the path that was used now."""
    return "peatnode" if shutil.which("peatnode") else sys.argv[0]
