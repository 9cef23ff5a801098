"""What is found around damage, in a map of which parts cannot be read."""

import random
from collections.abc import Iterator

import pytest

from tests.support.memory_kv import MemoryKeyValue
from workers.store.disk.database import StorageFailed
from workers.store.disk.repair import readable


class Damaged(MemoryKeyValue):
    """Whoever comes to a bad key from any side gets no further, as with a block of RocksDB."""

    def __init__(self, keys: list[bytes], bad: set[bytes], reason: str = "Corruption: x") -> None:
        super().__init__()
        self.entries.update((key, key) for key in keys)
        self.bad, self.reason = bad, reason

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in super().scan(start, end, reverse):
            if key in self.bad:
                raise StorageFailed(self.reason)
            yield key, value


def some_keys(rng: random.Random, count: int) -> list[bytes]:
    names = [f"d{rng.choice(['notes', 'n', 'zeta'])}\0{rng.randrange(10**5)}" for _ in range(count)]
    return sorted({name.encode() for name in names} | {b"d\xff\xff", b"d\0"})


@pytest.mark.parametrize("seed", range(40))
def test_all_but_the_damage_is_found(seed: int) -> None:
    rng = random.Random(seed)
    keys = some_keys(rng, 300)
    first = rng.randrange(len(keys))
    bad = set(keys[first : first + rng.randrange(1, 60)])
    found = [key for key, _ in readable(Damaged(keys, bad), b"d", b"e")]
    assert sorted(found) == [key for key in keys if key not in bad], f"seed {seed}"


@pytest.mark.parametrize("seed", range(40))
def test_of_several_damages_most_of_what_lies_between_is_found(seed: int) -> None:
    rng = random.Random(seed)
    keys = some_keys(rng, 1000)
    bad: set[bytes] = set()
    for _ in range(3):
        first = rng.randrange(len(keys))
        bad.update(keys[first : first + 20])
    found = {key for key, _ in readable(Damaged(keys, bad), b"d", b"e")}
    assert not found & bad
    assert len(found) > len(keys) // 2, f"seed {seed}"


def test_a_disk_that_cannot_be_read_now_has_lost_nothing() -> None:
    database = Damaged([b"d1", b"d2"], {b"d2"}, "IO error: Input/output error")
    with pytest.raises(StorageFailed):
        list(readable(database, b"d", b"e"))
