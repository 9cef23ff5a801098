"""The choice between two connections of the same two instances. Both ends choose the same connection."""

from __future__ import annotations

from peatnode.protocol.connect.handshake import Member

INSTANCE_TAKEN = "instance of another node"
"""Why a connection of a member is refused. Metrics use it as a label."""


def other_holder(candidate: Member, current: Member | None, own_id: str, own: bytes) -> str:
    """The node id that has the candidate's instance under another key; empty: no other has it.

    `current` is who is connected with that instance, `own_id` and `own` are this node. An instance has one node id.
    """
    if candidate.instance == own:
        return own_id
    if current is not None and current.endpoint_key != candidate.endpoint_key:
        return current.node_id
    return ""


def is_better(candidate: Member, current: Member) -> bool:
    """Whether the new connection is kept and the current one to the same instance is closed."""
    if candidate.started != current.started:
        return candidate.started > current.started
    if candidate.dialled_by != current.dialled_by:
        return candidate.dialled_by < current.dialled_by
    return candidate.attempt > current.attempt
