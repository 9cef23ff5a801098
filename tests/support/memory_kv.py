"""An ordered key-value store in memory."""

from collections.abc import Iterator

from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import Group


class MemoryKeyValue:
    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted((k for k in self.entries if start <= k < end), reverse=reverse):
            yield key, self.entries[key]

    def write(self, group: Group) -> None:
        for key, value in group.writes():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value


def commit(replica: Replica) -> Group:
    group = replica.take_group()
    assert isinstance(replica.kv, MemoryKeyValue)
    replica.kv.write(group)
    replica.committed(group)
    return group
