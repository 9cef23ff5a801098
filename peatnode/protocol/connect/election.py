"""The election between two connections of the same two instances: both ends choose the same one."""

from __future__ import annotations

from peatnode.protocol.connect.handshake import Member


def is_better(candidate: Member, current: Member) -> bool:
    """Whether `candidate` is kept and `current` closed, both being to the same instance."""
    if candidate.started != current.started:
        return candidate.started > current.started
    if candidate.dialled_by != current.dialled_by:
        return candidate.dialled_by < current.dialled_by
    return candidate.attempt > current.attempt
