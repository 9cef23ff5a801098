from peatnode.documents.content.fingerprint import fingerprint


def test_it_depends_on_each_part() -> None:
    prints = {
        fingerprint(1, False, 5),
        fingerprint(2, False, 5),
        fingerprint(1, True, 5),
        fingerprint(1, False, 6),
    }
    assert len(prints) == 4
    assert {len(value) for value in prints} == {16}


def test_it_is_the_same_in_every_version() -> None:
    assert fingerprint(3, False, 2**126 + 5).hex() == "2cf458d88ac4a85f828bc2e7d41d36f5"
