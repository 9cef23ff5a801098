"""What one end makes, the other end takes."""

from peatnode.documents.yjs.lib0 import MAX_SAFE_INTEGER, var_uint
from peatnode.model import peer_limits as limits


def test_a_pull_asks_for_no_more_than_its_peer_answers() -> None:
    assert max(limits.PARENTS_PER_ASK, limits.BUCKETS_PER_ASK) <= limits.MAX_INDEXES
    assert limits.WANTED_PER_ASK <= limits.MAX_WANTED
    assert limits.MAX_STEPS <= limits.MAX_QUESTIONS_WAITING


def test_a_peer_takes_more_pushes_than_a_window_has() -> None:
    assert 2 * limits.PUSH_WINDOW < limits.MAX_APPLYING


def test_every_batch_may_travel_plain() -> None:
    assert limits.MAX_BATCH_BYTES <= limits.MAX_FRAME_BYTES


def test_a_state_fits_in_a_message_with_the_largest_numbers() -> None:
    largest = var_uint(MAX_SAFE_INTEGER)
    length = var_uint(limits.MAX_AWARENESS_STATE_BYTES)
    around = len(b"\x01" + largest + largest + length)
    assert around + limits.MAX_AWARENESS_STATE_BYTES <= limits.MAX_AWARENESS_BYTES
