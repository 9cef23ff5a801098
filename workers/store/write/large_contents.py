"""What a batch needs of large updates and documents, computed in threads before it changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from peatnode.documents.content.live_content import LiveContent
from peatnode.documents.replica.join import JoinResult, decode_change
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.update import Update
from peatnode.ipc.messages import DocumentUpdate
from workers.store.names import unchecked_key
from workers.store.pace import LARGE_BYTES

_NO_DELETIONS = b"\0"
"""The end of an update whose delete set is empty."""


class LargeContents:
    """Decodes large updates, and reads what is alive in large documents: their next change may delete some of it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.documents_read = 0

    async def decode(self, update: DocumentUpdate, origin: str) -> Update | JoinResult | None:
        """The decoded update, whose content sum is known then; None for a small one."""
        if len(update.update) <= LARGE_BYTES or update.is_deleted:
            return None
        is_new = self._replica.live(unchecked_key(update.collection, update.id)) is None
        return await asyncio.to_thread(self._decoded, update, origin, is_new)

    def _decoded(self, update: DocumentUpdate, origin: str, is_new: bool) -> Update | JoinResult:
        decoded = decode_change(update, origin)
        if is_new and isinstance(decoded, Update):
            self._replica.sum_ahead(decoded)
        return decoded

    async def read_for(self, update: DocumentUpdate) -> None:
        """Reads the live content of a large document from which an update may delete. Raises StorageFailed."""
        if not update.is_deleted and not update.update.endswith(_NO_DELETIONS):
            await self.read(unchecked_key(update.collection, update.id))

    async def read(self, key: bytes) -> None:
        """Reads the live content of a large document, unless it is cached. Raises StorageFailed."""
        record = self._replica.live(key)
        if record is None or record.snapshot_bytes <= LARGE_BYTES:
            return
        read: Callable[[], LiveContent] | None = self._replica.content_reader(key, record)
        if read is not None:
            self.documents_read += 1
            self._replica.keep_content(key, record, await asyncio.to_thread(read))
