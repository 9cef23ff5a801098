"""The choice between two connections of the same two instances. Both ends choose the same connection."""

from __future__ import annotations

from peatnode.protocol.connect.handshake import Member


def is_better(candidate: Member, current: Member) -> bool:
    """Whether the new connection is kept and the current one to the same instance is closed."""
    if candidate.started != current.started:
        return candidate.started > current.started
    if candidate.dialled_by != current.dialled_by:
        return candidate.dialled_by < current.dialled_by
    return candidate.attempt > current.attempt
