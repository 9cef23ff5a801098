from workers.broker.yjs.awareness import EXPIRY_SECONDS, LEFT, ClientState
from workers.broker.yjs.presence import MAX_DOCUMENTS, Presence

NAME = ("notes", "today")
ANNA = ClientState(7, 1, '"Anna"')


def test_who_is_elsewhere_is_known_to_the_first_who_comes() -> None:
    presence = Presence()
    assert presence.apply(NAME, [ANNA], 0) == [ANNA]
    assert presence.present(NAME) == [ANNA]
    assert presence.present(("notes", "other")) == []


def test_the_silent_are_told_of_and_forgotten() -> None:
    presence = Presence()
    presence.apply(NAME, [ANNA], 0)
    told = []
    presence.remove_expired(EXPIRY_SECONDS, lambda name, states: told.append((name, states)))
    assert told == [(NAME, [ClientState(7, 1, LEFT)])]
    presence.remove_expired(2 * EXPIRY_SECONDS, lambda name, states: told.append((name, states)))
    assert len(told) == 1
    assert presence.is_empty


def test_a_goodbye_of_somebody_unknown_leaves_nothing_behind() -> None:
    presence = Presence()
    assert presence.apply(NAME, [ClientState(7, 1, LEFT)], 0) == []
    assert presence.is_empty
    assert presence.remove(NAME, {7}, 0) == []


def test_documents_are_bounded() -> None:
    presence = Presence()
    limit = MAX_DOCUMENTS
    for number in range(limit + 1):
        presence.apply(("notes", str(number)), [ANNA], 0)
    assert presence.present(("notes", "0")) == []
    assert presence.present(("notes", str(limit))) == [ANNA]
