"""Who speaks for a client of a document, and for how long."""

from peatnode.model.peer_limits import (
    MAX_AWARENESS_CLOCK,
    MAX_AWARENESS_STATE_BYTES,
    MAX_CLIENT_IDS,
    TAKEOVER_SECONDS,
)
from workers.broker.yjs.awareness import LEFT, ClientState
from workers.broker.yjs.states import (
    EXPIRY_SECONDS,
    NOT_OWN,
    TOO_LARGE,
    TOO_MANY_IDS,
    AwarenessStates,
    Speaker,
)

ANNA = ClientState(7, 1, b'{"name":"Anna"}')
NEWER = ClientState(7, 2, b'{"name":"newer"}')
GOODBYE = ClientState(7, 1, LEFT)


def known(speaker: Speaker, *states: ClientState) -> AwarenessStates:
    document = AwarenessStates()
    for state in states:
        document.put(state, speaker, 0)
    return document


def test_only_a_higher_clock_is_news() -> None:
    document = known(Speaker(is_local=True), ANNA)
    assert not document.is_news(ANNA)
    assert not document.is_news(ClientState(7, 0, b'"older"'))
    assert document.is_news(NEWER)
    assert document.present() == [ANNA]


def test_a_goodbye_under_the_same_clock_counts_once() -> None:
    document = known(speaker := Speaker(is_local=True), ANNA)
    assert document.is_news(GOODBYE)
    document.put(GOODBYE, speaker, 1)
    assert not document.is_news(GOODBYE)
    assert document.present() == []
    assert not AwarenessStates().is_news(GOODBYE)


def test_who_comes_back_under_the_same_clock_is_told_of_the_goodbye() -> None:
    document = known(Speaker(is_local=True), ANNA)
    assert document.removals_of([ANNA]) == []
    document.remove([7], 1)
    assert document.removals_of([ANNA]) == [GOODBYE]
    assert document.removals_of([GOODBYE, ClientState(7, 2, b'"Anna"')]) == []


def test_the_silent_are_forgotten_and_their_memory_is_freed() -> None:
    document = known(speaker := Speaker(is_local=True), ANNA)
    assert document.remove_expired(EXPIRY_SECONDS - 1) == []
    assert document.remove_expired(EXPIRY_SECONDS) == [GOODBYE]
    assert not document.is_news(ANNA), "a late copy brings nobody back"
    assert document.remove_expired(2 * EXPIRY_SECONDS) == []
    assert document.is_empty
    assert (document.bytes, document.held, speaker.bytes, speaker.held) == (0, {}, 0, {})


def test_a_connection_speaks_only_for_its_own() -> None:
    own, other, peer = Speaker(is_local=True), Speaker(is_local=True), Speaker(is_local=False)
    document = known(own, ANNA)
    for speaker in (other, peer):
        for state in (NEWER, GOODBYE, ClientState(7, 2, LEFT)):
            assert document.reason_to_drop(state, speaker, TAKEOVER_SECONDS) == NOT_OWN
    assert document.reason_to_drop(NEWER, own, 1) == ""
    assert document.reason_to_drop(ClientState(8, 1, b"1"), other, 1) == ""


def test_who_returns_while_the_old_connection_is_half_open_takes_over_when_that_is_silent() -> None:
    document = known(Speaker(is_local=True), ANNA)
    fresh = Speaker(is_local=True)
    assert document.reason_to_drop(NEWER, fresh, TAKEOVER_SECONDS) == NOT_OWN
    assert document.reason_to_drop(NEWER, fresh, TAKEOVER_SECONDS + 0.1) == ""
    assert document.reason_to_drop(GOODBYE, fresh, TAKEOVER_SECONDS + 0.1) == NOT_OWN
    document.put(NEWER, fresh, 25)
    assert document.remove([7], 25) == [ClientState(7, 2, LEFT)]
    assert document.reason_to_drop(ClientState(7, 3, b"1"), Speaker(is_local=True), 25) == ""


def test_the_end_of_a_half_open_connection_makes_who_has_returned_send_its_state_again() -> None:
    """Its client ignores a removal that is older than its state."""
    for owner in (Speaker(is_local=True), Speaker(is_local=False)):
        document = known(owner, ANNA)
        for clock in (2, 3, 10**9):
            newer = ClientState(7, clock, b"1")
            assert document.reason_to_drop(newer, Speaker(is_local=True), 1) == NOT_OWN
        assert document.put(GOODBYE, owner, 2) == ClientState(7, 3, LEFT)
        assert document.is_news(ClientState(7, 4, b"1"))


def test_a_client_of_a_peer_is_not_spoken_for_here_and_peers_may_pass_it_on() -> None:
    peer, relay, local = Speaker(is_local=False), Speaker(is_local=False), Speaker(is_local=True)
    document = known(peer, ANNA)
    assert document.reason_to_drop(NEWER, local, 5) == NOT_OWN
    assert document.reason_to_drop(NEWER, relay, 5) == ""
    assert document.reason_to_drop(GOODBYE, relay, 5) == ""


def test_a_connection_has_so_many_clients_and_a_peer_has_more() -> None:
    local, peer = Speaker(is_local=True), Speaker(is_local=False)
    document = AwarenessStates()
    for client in range(MAX_CLIENT_IDS):
        for speaker, state in ((local, client), (peer, 1000 + client)):
            assert document.reason_to_drop(ClientState(state, 1, b"1"), speaker, 0) == ""
            document.put(ClientState(state, 1, b"1"), speaker, 0)
    assert document.reason_to_drop(ClientState(500, 1, b"1"), local, 0) == TOO_MANY_IDS
    assert document.reason_to_drop(ClientState(0, 2, b"1"), local, 0) == ""
    assert document.reason_to_drop(ClientState(501, 1, b"1"), peer, 0) == ""


def test_no_state_is_larger_than_a_message_of_peers_and_no_clock_ends() -> None:
    document, speaker = AwarenessStates(), Speaker(is_local=True)
    for size, reason in (
        (MAX_AWARENESS_STATE_BYTES, ""),
        (MAX_AWARENESS_STATE_BYTES + 1, TOO_LARGE),
    ):
        assert document.reason_to_drop(ClientState(1, 1, bytes(size)), speaker, 0) == reason
    for clock, reason in ((MAX_AWARENESS_CLOCK - 1, ""), (MAX_AWARENESS_CLOCK, TOO_LARGE)):
        assert document.reason_to_drop(ClientState(1, clock, b"1"), speaker, 0) == reason
