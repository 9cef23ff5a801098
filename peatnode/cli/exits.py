"""The exit statuses of `peatnode`. They are part of its interface: scripts test them."""

from __future__ import annotations

from enum import IntEnum

from peatnode.errors import EXIT_CONFIGURATION


class Exit(IntEnum):
    OK = 0
    """Success. `status`: the node is healthy."""
    FAILED = 1
    """The node refused the request, or another error without a status of its own."""
    USAGE = 2
    """The command line is wrong."""
    DEGRADED = 3
    """`status`: the node runs, but has a problem."""
    UNREACHABLE = 4
    """No node answers."""
    NOT_FOUND = 5
    """The document, the peer, or what is kept under an id does not exist."""
    PRECONDITION = 6
    """The condition of --if-match or --if-none-match is false."""
    TOO_FEW_REPLICAS = 7
    """The write is on this node, but fewer peers than requested have it in time."""
    UNAUTHORIZED = 8
    """The token is missing, wrong, or allows reads only."""
    UNKNOWN_OUTCOME = 9
    """The response was lost: the change may or may not have been made."""
    CONFIGURATION = EXIT_CONFIGURATION
    """The configuration is invalid (EX_CONFIG of sysexits.h)."""
    INTERRUPTED = 130
    """128 + SIGINT, the convention of shells."""
