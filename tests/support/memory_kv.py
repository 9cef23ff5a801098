"""An ordered key-value store in memory."""

from collections.abc import Iterator

from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import WriteBatch


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

    def write(self, batch: WriteBatch) -> None:
        for key, value in batch.writes():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value


def commit(replica: Replica) -> WriteBatch:
    batch = replica.take_batch()
    assert isinstance(replica.kv, MemoryKeyValue)
    replica.kv.write(batch)
    replica.committed(batch)
    return batch
