from peatnode.documents.replica.fingerprint import fingerprint
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet

DELETED = DeleteSet.from_ranges([(1, 0, 2)])


def test_it_depends_on_each_part() -> None:
    prints = {
        fingerprint(1, False, {1: 2}, DELETED),
        fingerprint(2, False, {1: 2}, DELETED),
        fingerprint(1, True, {1: 2}, DELETED),
        fingerprint(1, False, {1: 3}, DELETED),
        fingerprint(1, False, {2: 2}, DELETED),
        fingerprint(1, False, {1: 2}, EMPTY_DELETE_SET),
    }
    assert len(prints) == 6
    assert {len(value) for value in prints} == {16}


def test_order_and_clients_without_clocks_do_not_matter() -> None:
    one = fingerprint(1, False, {1: 2, 7: 3}, DELETED)
    assert one == fingerprint(1, False, {7: 3, 1: 2, 9: 0}, DELETED)


def test_it_is_the_same_in_every_version() -> None:
    assert (
        fingerprint(3, False, {1: 2, 300: 5}, DELETED).hex() == "f82f7c995965a99915a1283780c33256"
    )
