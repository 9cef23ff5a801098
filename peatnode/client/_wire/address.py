"""Checks the addresses of nodes."""

from __future__ import annotations

from urllib.parse import urlsplit


def checked_url(url: str) -> str:
    """The URL without a trailing slash. Raises ValueError if it is not the address of an HTTP server."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
        parts.port  # noqa: B018  # raises ValueError for an invalid port
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"{url!r} is not an address like http://127.0.0.1:8081")
    return url.rstrip("/")
