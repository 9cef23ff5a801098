"""Addresses of nodes."""

from __future__ import annotations

from urllib.parse import urlsplit


def checked_url(url: str) -> str:
    """The URL without a slash at its end. Raises ValueError, a sentence, where it is none of a node."""
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
        parts.port  # noqa: B018  # raises for a port that is none
    except ValueError:
        is_fit = False
    if not is_fit:
        raise ValueError(f"{url!r} is not an address like http://127.0.0.1:8081")
    return url.rstrip("/")
