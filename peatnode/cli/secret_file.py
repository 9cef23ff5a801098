"""Creates formation secrets, in files of mode 0600."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from peatnode.cli.errors import CliError

SECRET_BYTES = 32


def new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def write_secret(path: Path, secret: str) -> None:
    """Creates the file atomically, readable only by its owner. Raises FileExistsError, OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, a link never replaces a file
    finally:
        partial.unlink(missing_ok=True)


def ensure_secret(path: Path) -> bool:
    """Creates the secret unless it exists. Returns whether it was created.

    Two processes that do this at once get the same secret. Raises CliError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            return False
        write_secret(path, new_secret())
    except FileExistsError:
        return False
    except OSError as error:
        raise CliError(f"the secret cannot be written to {path}: {error.strerror}") from error
    return True
