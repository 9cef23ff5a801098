"""npm packages, installed on demand from the lock file in this folder, into a cache shared by all runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def missing_program() -> str:
    """Which of the programs that npm clients need is not installed; empty: all are."""
    return next((program for program in ("node", "npm") if shutil.which(program) is None), "")


def installed(manifest: Path = HERE) -> Path:
    """The folder with node_modules for the package.json in `manifest`, one for each state of its lock file."""
    lock = (manifest / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "peatnode-live" / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(manifest / name, folder / name)
            subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder,
                check=True,
                timeout=180,
            )
            (folder / ".complete").touch()
    return folder
