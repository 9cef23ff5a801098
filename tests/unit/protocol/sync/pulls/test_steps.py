"""What a pull asks for at once fits in a frame, whatever the documents are like."""

import random
from collections import deque

from peatnode.model.documents import Wanted
from peatnode.model.peer_limits import WANTED_BYTES, WANTED_PER_ASK
from peatnode.protocol.sync.pulls.steps import take_wanted
from peatnode.protocol.wire.messages import AskUpdates, encode

LARGEST_VECTOR = 1_400_000
"""That of a document with twice MAX_CLIENTS."""


def test_a_question_has_so_many_documents_and_bytes(rng: random.Random) -> None:
    sizes = (0, 9, 200, 100_000, LARGEST_VECTOR)
    for _ in range(8):
        pick = rng.sample(sizes, rng.randrange(1, 4))
        wanted = [
            Wanted("c", str(n), 1, bytes(rng.choice(pick))) for n in range(rng.randrange(700))
        ]
        queue, asked = deque(wanted), []
        while queue:
            taken = take_wanted(queue)
            assert 0 < len(taken) <= WANTED_PER_ASK
            assert len(encode(AskUpdates(1, tuple(taken)))) < WANTED_BYTES + LARGEST_VECTOR
            asked += taken
        assert asked == wanted


def test_small_ones_are_asked_for_together() -> None:
    queue = deque([Wanted("c", str(n), 1, bytes(20)) for n in range(WANTED_PER_ASK + 1)])
    assert len(take_wanted(queue)) == WANTED_PER_ASK
    assert len(queue) == 1
