"""The generation of a running store, which ends when another writer turns out to use this node's Yjs client id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from peatnode.documents.replica.keyspace import after
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.withdraw import PENDING, decode_own_write, encode_own_write
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.worker.shell import WorkerShell
from workers.store.disk.generation import client_id, generation_entry, random_generation
from workers.store.disk.witness import CommitWitness
from workers.store.engine.client import EngineClient
from workers.store.write.withdrawal import KEPT, WRITTEN_AGAIN


class IdObserver(Protocol):
    """Is told what happens to the client ids of a store."""

    def renewed(self, generation: int, withdrawals: int) -> None:
        """A new generation has begun, and so many documents have to be withdrawn."""

    def withdrawn(self, outcomes: Mapping[str, int], is_complete: bool) -> None:
        """All withdrawals are done. Not complete: this node has written more than is remembered."""

    def kept(self, name: str, reason: str) -> None:
        """A document could not be withdrawn."""


class ClientIds:
    """Begins a new generation within a batch, together with the list of the documents that have to be withdrawn."""

    def __init__(
        self,
        node_id: str,
        generation: int,
        witness: CommitWitness,
        replica: Replica,
        engine: EngineClient,
        observer: IdObserver,
        draw: Callable[[], int] = random_generation,
    ) -> None:
        """Reads the withdrawals that an earlier process has not completed. Raises StorageFailed."""
        self.generation = generation
        self._node_id = node_id
        self._witness = witness
        self._replica = replica
        self._engine = engine
        self._observer = observer
        self._draw = draw
        self._is_begun = False
        """Whether the generation has begun and is not on disk yet."""
        for entry, data in replica.kv.scan(PENDING, after(PENDING)):
            replica.own_writes.pending[entry[len(PENDING) :]] = decode_own_write(data)
        self._is_withdrawing = bool(replica.own_writes.pending)

    def renew(self) -> None:
        """Begins a new generation in the open batch."""
        self._witness.discard()
        self.generation = self._draw()
        self._is_begun = True
        self._replica.renew_client(client_id(self._node_id, self.generation))
        self._engine.forget()
        pending = len(self._replica.own_writes.pending)
        self._is_withdrawing = self._is_withdrawing or bool(pending)
        self._observer.renewed(self.generation, pending)
        self.stage()

    def stage(self) -> None:
        """Adds a generation that is not on disk to the open batch, because an earlier batch was dropped."""
        if self._is_begun:
            self._replica.put(*generation_entry(self.generation))
            for key, write in self._replica.own_writes.pending.items():
                self._replica.put(PENDING + key, encode_own_write(write))

    def committed(self, batch: WriteBatch, outcomes: Mapping[str, int]) -> None:
        """Lets the witness stand for the new generation, and reports when all withdrawals are done."""
        if self._is_begun:
            entry, stored = generation_entry(self.generation)
            if batch.extra.get(entry) == stored:
                self._is_begun = False
                self._witness.begin(self.generation, self._replica.sequence)
        if self._is_withdrawing and not self._replica.own_writes.pending:
            self._is_withdrawing = False
            self._observer.withdrawn(outcomes, self._replica.own_writes.is_complete)


class IdReports:
    """Tells the operator what happens to the client ids."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell

    def renewed(self, generation: int, withdrawals: int) -> None:
        self._shell.quota.warning(
            "Another writer uses this node's client id: a new generation begins",
            ("", ""),
            generation=generation,
            withdrawals=withdrawals,
        )

    def kept(self, name: str, reason: str) -> None:
        self._shell.quota.error(
            "Document may differ from those of the peers", (name, reason), doc=name, reason=reason
        )

    def withdrawn(self, outcomes: Mapping[str, int], is_complete: bool) -> None:
        again, kept = outcomes[WRITTEN_AGAIN], outcomes[KEPT]
        self._shell.quota.error(
            "Own writes were withdrawn and written again",
            ("", ""),
            documents=again,
            kept=kept,
            is_complete=is_complete,
        )
        others = "" if is_complete and not kept else f" {kept or 'Some'} others may differ now."
        self._shell.raise_problem(
            "withdrawn",
            "another writer used this node's client id, as when a virtual machine goes back to an earlier state: "
            f"{again} documents were written again under a new id.{others}",
            "Do not put a running machine back to an earlier state, and do not run a node twice. Browsers that had "
            "these documents open must reload them. The log names documents that may differ: write them again. "
            "A restart ends this notice.",
        )
