"""When the checkpoint of the index is written, so that a start has few changes to replay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from peatnode.documents.replica.index.checkpoint import encode_checkpoint
from peatnode.documents.replica.keyspace import CHECKPOINT, FLUSHED, number
from peatnode.documents.replica.replica import Replica
from workers.store.disk.database import Database

MAX_CHANGES = 50_000
"""Changes after the checkpoint at which the next one is written. It has at most 1.2 MB, 24 bytes a change."""
QUIET_CHANGES = 2000
"""The same while there are no writes, so that short bursts do not write a checkpoint each."""

WriteAlone: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Makes a write while no other one is unsynced: `GroupCommitter.write_alone`."""


class Checkpoints:
    """Writes checkpoints of the replica. No request waits for one.

    A checkpoint lies in the log behind the changes that it covers: a log that has lost its end has lost the checkpoint
    before it has lost one of them.
    """

    def __init__(self, database: Database, replica: Replica) -> None:
        self._database = database
        self._replica = replica

    async def write_if_due(self, write_alone: WriteAlone, is_quiet: bool = False) -> None:
        """Writes a checkpoint if many changes have passed since the last one. Raises StorageFailed."""
        changes = self._replica.sequence - self._replica.checkpoint_sequence
        is_due = changes >= (QUIET_CHANGES if is_quiet else MAX_CHANGES)
        if not (is_due or self._replica.checkpoint_fault):
            return
        checkpoint = self._replica.checkpoint()
        if checkpoint is None:
            await write_alone(self._drop)
            return
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(None, encode_checkpoint, checkpoint)
        await write_alone(partial(self._keep, checkpoint.sequence, data))

    def write_at_stop(self) -> int:
        """Writes a checkpoint of all changes, before the caller flushes. Raises StorageFailed.

        Returns the sequence that is flushed then.
        """
        sequence = self._replica.sequence
        if sequence != self._replica.checkpoint_sequence:
            checkpoint = self._replica.checkpoint()
            if checkpoint is None:
                self._drop()
            else:
                self._keep(sequence, encode_checkpoint(checkpoint))
        return sequence

    def flushed(self, sequence: int) -> None:
        """Notes that sorted files hold all changes up to `sequence`, after a flush. Raises StorageFailed."""
        noted = number(sequence)
        if self._database.get(FLUSHED) != noted:
            self._database.write([(FLUSHED, noted)])

    def _keep(self, sequence: int, data: bytes) -> None:
        self._database.write([(CHECKPOINT, data)])
        self._replica.checkpointed(sequence)

    def _drop(self) -> None:
        """Deletes the checkpoint, because the feed does not keep all changes after it for good."""
        if self._replica.checkpoint_sequence or self._replica.checkpoint_fault:
            self._database.write([(CHECKPOINT, None)])
            self._replica.checkpointed(0)
