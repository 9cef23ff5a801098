"""The awareness of all documents, and its budget."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from peatnode.errors import MalformedUpdate
from peatnode.model.peer_limits import (
    MAX_AWARENESS_STATE_BYTES,
    MAX_CLIENT_IDS,
    MAX_PRESENCE_BYTES,
    MAX_ROOM_PRESENCE_BYTES,
    STATE_OVERHEAD_BYTES,
)
from workers.broker.yjs.awareness import LEFT, ClientState
from workers.broker.yjs.presence import (
    MALFORMED,
    MAX_DOCUMENTS,
    NODE_FULL,
    ROOM_FULL,
    Name,
    Presence,
)
from workers.broker.yjs.states import EXPIRY_SECONDS, Speaker

NAME = ("notes", "today")
ANNA = ClientState(7, 1, b'"Anna"')
LARGEST = b'"' + b"x" * (MAX_AWARENESS_STATE_BYTES - 2) + b'"'


class Stage:
    """Presence, with the reasons for which states were dropped."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.presence = Presence(lambda reason: self.dropped.update([reason]))

    def fill(self, name: Name, speaker: Speaker, first: int, count: int, now: float = 0) -> int:
        """The number of largest states that are accepted."""
        states = [ClientState(first + n, 1, LARGEST) for n in range(count)]
        return len(self.presence.apply(name, states, speaker, now))

    def check(self) -> None:
        documents = self.presence._documents
        assert self.presence.bytes == sum(d.bytes for d in documents.values())
        assert self.presence.bytes <= MAX_PRESENCE_BYTES
        for document in documents.values():
            assert document.bytes == sum(document.held.values()) <= MAX_ROOM_PRESENCE_BYTES


@pytest.fixture
def stage() -> Stage:
    return Stage()


def local() -> Speaker:
    return Speaker(is_local=True)


def test_who_is_elsewhere_is_known_to_the_first_who_comes(stage: Stage) -> None:
    presence = stage.presence
    assert presence.apply(NAME, [ANNA], presence.peer("b"), 0) == [ANNA]
    assert presence.apply(NAME, [ANNA], local(), 0) == []
    assert presence.present(NAME) == [ANNA]
    assert presence.present(("notes", "other")) == []
    assert not stage.dropped


def test_the_silent_are_told_of_and_forgotten(stage: Stage) -> None:
    presence = stage.presence
    presence.apply(NAME, [ANNA], local(), 0)
    told = []
    presence.remove_expired(EXPIRY_SECONDS, lambda name, states: told.append((name, states)))
    assert told == [(NAME, [ClientState(7, 1, LEFT)])]
    presence.remove_expired(2 * EXPIRY_SECONDS, lambda name, states: told.append((name, states)))
    assert len(told) == 1
    assert presence.is_empty
    assert presence.bytes == 0


def test_a_goodbye_of_somebody_unknown_leaves_nothing_behind(stage: Stage) -> None:
    assert stage.presence.apply(NAME, [ClientState(7, 1, LEFT)], local(), 0) == []
    assert stage.presence.is_empty
    assert stage.presence.remove(NAME, local(), 0) == []


def test_what_is_no_json_ends_a_client_and_is_dropped_from_a_peer(stage: Stage) -> None:
    bad = ClientState(8, 1, b"{")
    with pytest.raises(MalformedUpdate):
        stage.presence.apply(NAME, [bad], local(), 0)
    peer = stage.presence.peer("b")
    assert stage.presence.apply(NAME, [bad, ANNA], peer, 0) == [ANNA]
    assert stage.dropped == {MALFORMED: 1}


def test_a_connection_that_ends_takes_its_own_clients_along(stage: Stage) -> None:
    anna, bo = local(), local()
    stage.presence.apply(NAME, [ANNA], anna, 0)
    stage.presence.apply(NAME, [ClientState(8, 1, b'"Bo"'), ClientState(7, 2, b'"no"')], bo, 0)
    assert stage.presence.remove(NAME, bo, 1) == [ClientState(8, 1, LEFT)]
    assert stage.presence.present(NAME) == [ANNA]
    assert stage.presence.remove(NAME, anna, 1) == [ClientState(7, 2, LEFT)]
    stage.check()


def test_a_hog_takes_room_from_itself_alone(stage: Stage) -> None:
    honest, hog = local(), local()
    stage.presence.apply(NAME, [ANNA], honest, 0)
    assert stage.fill(NAME, hog, 100, MAX_CLIENT_IDS) == MAX_CLIENT_IDS, "its newest states win"
    stage.check()
    present = {state.client for state in stage.presence.present(NAME)}
    assert 7 in present
    assert 100 not in present
    assert 100 + MAX_CLIENT_IDS - 1 in present
    newer = ClientState(7, 2, b'"Anna moves"')
    assert stage.presence.apply(NAME, [newer], honest, 1) == [newer]
    late = ClientState(9, 1, b'"late"')
    assert stage.presence.apply(NAME, [late], local(), 1) == [late]
    stage.check()


def test_clients_of_this_node_go_before_those_of_peers(stage: Stage) -> None:
    here, peer = local(), stage.presence.peer("b")
    stage.fill(NAME, peer, 1000, 40)
    assert stage.fill(NAME, here, 100, 15) == 15
    assert {100 + n for n in range(15)} <= {s.client for s in stage.presence.present(NAME)}
    assert stage.fill(NAME, stage.presence.peer("c"), 2000, 1) == 0
    assert stage.dropped[ROOM_FULL] == 1
    stage.check()


def test_equals_share_a_full_room(stage: Stage) -> None:
    speakers = [local() for _ in range(20)]
    accepted = [stage.fill(NAME, s, 100 * n, 1) for n, s in enumerate(speakers)]
    assert sum(accepted) == MAX_ROOM_PRESENCE_BYTES // (len(LARGEST) + 256)
    assert stage.dropped[ROOM_FULL] == 20 - sum(accepted)
    small = ClientState(5000, 1, b"1")
    assert stage.presence.apply(NAME, [small], local(), 0) == [small]


def test_a_node_full_of_peers_still_has_room_for_its_clients(stage: Stage) -> None:
    peer, other = stage.presence.peer("b"), stage.presence.peer("c")
    for number in range(20):
        stage.fill(("notes", str(number)), peer, 1000, 15)
    stage.check()
    assert stage.presence.bytes > MAX_PRESENCE_BYTES - 2 * len(LARGEST)
    assert stage.fill(("notes", "c"), other, 1, 3) == 3, "of peers, the largest makes room"
    assert stage.fill(("notes", "here"), local(), 1, 3) == 3
    stage.check()
    hogs = [local() for _ in range(20)]
    for number, hog in enumerate(hogs):
        stage.fill(("notes", f"hog {number}"), hog, 1, 15)
    stage.check()
    assert stage.fill(("notes", "here"), local(), 50, 1) == 1
    assert stage.fill(("notes", "d"), stage.presence.peer("d"), 1, 1) == 0
    assert stage.dropped[NODE_FULL] >= 1


def test_room_is_made_in_a_time_that_does_not_grow_with_the_documents(stage: Stage) -> None:
    """With 10,000 documents each state of a full node took 16 ms, and a peer sends thousands in one message."""
    peer = stage.presence.peer("b")
    state = b'"' + b"x" * (MAX_PRESENCE_BYTES // (MAX_DOCUMENTS - 2) - STATE_OVERHEAD_BYTES) + b'"'
    for number in range(MAX_DOCUMENTS - 1):
        stage.presence.apply(("notes", str(number)), [ClientState(7, 1, state)], peer, 0)
    before = stage.presence.bytes
    began = time.process_time()
    small = [ClientState(100 + n, 1, b"{}") for n in range(1000)]
    assert stage.presence.apply(("notes", "more"), small, peer, 0) == small
    assert time.process_time() - began < 2.0
    assert stage.presence.bytes <= before
    stage.check()


def test_documents_are_bounded(stage: Stage) -> None:
    presence, peer, here = stage.presence, stage.presence.peer("b"), local()
    presence.apply(("here", "first"), [ANNA], here, 0)
    for number in range(1, MAX_DOCUMENTS):
        presence.apply(("notes", str(number)), [ANNA], peer, 0)
    assert presence.apply(("notes", "more"), [ANNA], peer, 0) == []
    assert stage.dropped == {NODE_FULL: 1}
    assert presence.apply(("here", "more"), [ANNA], local(), 0) == [ANNA]
    assert presence.present(("here", "first")) == [ANNA]
    assert presence.present(("notes", "1")) == []
    stage.check()


def test_the_account_is_right_after_any_history(stage: Stage, rng: random.Random) -> None:
    speakers = [local() for _ in range(4)] + [stage.presence.peer(p) for p in "bc"]
    rooms = {speaker: ("notes", str(n % 2)) for n, speaker in enumerate(speakers[:4])}
    now = 0.0
    for _ in range(1500):
        now += rng.choice((0.0, 0.1, 10.0))
        speaker = rng.choice(speakers)
        name = rooms.get(speaker) or ("notes", str(rng.randrange(3)))
        client, clock = rng.randrange(30), rng.randrange(50)
        state = rng.choice((LEFT, b'"x"', LARGEST))
        match rng.randrange(20):
            case 0:
                stage.presence.remove(name, speaker, now)
            case 1:
                stage.presence.remove_expired(now, lambda *_: None)
            case _:
                stage.presence.apply(name, [ClientState(client, clock, state)], speaker, now)
        stage.check()
