import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import QUARANTINE
from peatnode.documents.replica.replica import Replica
from tests.support.memory_kv import MemoryKeyValue, commit
from workers.store.engine.quarantine import Quarantine

ONE, OTHER = document_key("c", "one"), document_key("c", "other")


def test_what_was_set_aside_is_known_to_the_next_process() -> None:
    replica = Replica(MemoryKeyValue(), 1)
    quarantine = Quarantine(replica)
    quarantine.add(ONE, 3)
    quarantine.add(OTHER, 1, b"a change")
    commit(replica)
    again = Quarantine(Replica(replica.kv, 1))
    assert again.names() == ("c/one", "c/other")
    assert again.holds(ONE, 3)
    assert again.holds(OTHER, 1, b"a change")
    assert not again.holds(OTHER, 1)
    assert not again.holds(OTHER, 1, b"another change")
    assert not again.holds(ONE, 4)


def test_a_later_incarnation_is_released() -> None:
    replica = Replica(MemoryKeyValue(), 1)
    quarantine = Quarantine(replica)
    quarantine.add(ONE, 3)
    quarantine.add(ONE, 3, b"a change")
    quarantine.add(OTHER, 3)
    commit(replica)
    quarantine.release(ONE, 3)
    assert quarantine.holds(ONE, 3)
    quarantine.release(ONE, 4)
    commit(replica)
    assert len(quarantine) == len(Quarantine(Replica(replica.kv, 1))) == 1


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x01", b"\x94\x01\x01\x01\x01", None])
def test_damaged_entries_end_no_start(damage: bytes | None) -> None:
    """None: it is the entry of another document."""
    replica = Replica(MemoryKeyValue(), 1)
    quarantine = Quarantine(replica)
    quarantine.add(ONE, 3)
    quarantine.add(OTHER, 1, b"a change")
    commit(replica)
    entries = replica.kv.entries
    one, other = sorted(key for key in entries if key.startswith(QUARANTINE))
    entries[one] = entries[other] if damage is None else damage
    again = Quarantine(Replica(replica.kv, 1))
    assert again.names() == ("c/other",)
    again.add(ONE, 3)
    assert again.holds(ONE, 3)
