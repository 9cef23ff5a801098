"""What a writer is told about the peers that have its write."""

from peatnode.api.writes import replica_progress
from peatnode.ipc.messages import ReplicasReply


def test_enough_peers_need_no_words() -> None:
    progress = replica_progress(ReplicasReply(2, ("a", "b")), 2, 5.0)
    assert (progress.have, progress.detail) == (2, "")
    assert not replica_progress(ReplicasReply(2, ("a", "b"), is_other_feed=True), 2, 5.0).detail


def test_too_few_peers_are_told_with_the_reason() -> None:
    late = replica_progress(ReplicasReply(1, ("a",)), 2, 5.0)
    assert "on 1 of 2 peers after 5 s" in late.detail
    other = replica_progress(ReplicasReply(1, ("a",), is_other_feed=True), 2, 5.0)
    assert "replaced, restored or repaired" in other.detail
    assert "Read it again" in other.detail
    assert "not known" in replica_progress(None, 2, 5.0).detail
