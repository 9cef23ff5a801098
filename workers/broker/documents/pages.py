"""Reads a collection from the store page by page, in the order of ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from peatnode.ipc.messages import DocumentsReply, ListDocuments
from workers.broker.http.limits import BrokerLimits
from workers.broker.worker_client import WorkerClient


class CollectionReader:
    """Reads the pages of collections, each within the limits of the broker."""

    def __init__(self, store: WorkerClient, limits: BrokerLimits) -> None:
        self._store = store
        self._limits = limits

    async def pages(
        self, collection: str, prefix: str = "", after: str = "", limit: int = 0
    ) -> AsyncIterator[DocumentsReply]:
        """All pages behind the id `after`. `limit`: documents in a page; 0: the limit of the broker.

        Raises HttpProblem.
        """
        while True:
            page = await self._store.ask_retrying(
                ListDocuments(
                    collection,
                    after,
                    limit or self._limits.page_documents,
                    self._limits.page_bytes,
                    prefix,
                )
            )
            yield page
            if not page.next_after:
                return
            after = page.next_after
            await asyncio.sleep(0)  # let other requests run
