"""An ordered key-value store in memory."""

from collections.abc import Iterator

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import dump
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


def put(replica: Replica, key: bytes, target: dict) -> None:
    """As the store does for documents that need no engine, but always under the node's own client id."""
    record = replica.live(key)
    maps = root_maps.NO_ROOT_MAPS if record is None else replica.maps(key, record)
    assert maps is not None
    client = replica.client_of(replica.next_incarnation(key))
    clock = 0 if record is None else record.state_vector.get(client, 0)
    update = root_maps.change(maps, plan(maps.shape(), target), client, clock)
    if record is None or not update.is_empty:
        replica.write(key, update, dump(target))
