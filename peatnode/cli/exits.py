"""What the exit statuses of `peatnode` mean. Part of its interface: scripts look at them."""

from __future__ import annotations

from enum import IntEnum

from peatnode.errors import EXIT_CONFIGURATION


class Exit(IntEnum):
    OK = 0
    """Done; of `status`: healthy."""
    FAILED = 1
    """Refused, or something went wrong that none of the others names."""
    USAGE = 2
    """The command line is wrong."""
    DEGRADED = 3
    """`status`: the node runs, but something is wrong."""
    UNREACHABLE = 4
    """No node answers."""
    NOT_FOUND = 5
    """There is no such document or peer."""
    PRECONDITION = 6
    """--if-match or --if-none-match did not hold."""
    TOO_FEW_REPLICAS = 7
    """Written here, but not on as many peers as asked within the time."""
    UNAUTHORIZED = 8
    """The node asks for a token, or for another one."""
    UNKNOWN_OUTCOME = 9
    """The answer was lost: the change may or may not have been made."""
    CONFIGURATION = EXIT_CONFIGURATION
    """The configuration is invalid (EX_CONFIG of sysexits.h)."""
    INTERRUPTED = 130
    """128 + SIGINT, as shells have it."""
