"""Decides whether a store keeps its generation when it is opened, or begins a new one.

A generation is a random number. It and the node id determine the Yjs client id of this node's own writes. Peers may
know clocks of that id which this store has lost: its disk went back to an earlier state, or damage was repaired. So a
generation continues only with the proof of the commit witness that nothing is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import msgpack

from peatnode.documents.replica.keyspace import META, SEQUENCE, stored_number
from workers.store.disk.database import Database
from workers.store.disk.witness import CommitWitness

_GENERATION_KEY = META + b"generation"
_BOOT_KEY = META + b"boot"
"""The boot id of the machine at the last opening."""


@dataclass(frozen=True, slots=True)
class GenerationChoice:
    """The generation of an opened store, and why it is a new one."""

    generation: int
    why_new: str = ""
    """Empty if the generation continues, or if the store is new."""
    missing: int = 0
    """Changes that this store had committed since the machine started, and has no longer."""


def client_id(node_id: str, generation: int) -> int:
    """The Yjs client id of a node's own writes to first incarnations, 32 bits, not 0.

    y-py compares client ids by their lower 32 bits, so it would order items of longer ids otherwise than Yjs.
    """
    digest = sha256(f"peatnode client 1\0{node_id}\0{generation}".encode()).digest()
    return int.from_bytes(digest[:4], "big") or 1


def kept_generation(database: Database) -> int | None:
    """The stored generation, or None. Raises StorageFailed."""
    stored = database.get(_GENERATION_KEY)
    return None if stored is None else int(msgpack.unpackb(stored)[0])


def random_generation() -> int:
    """48 random bits, not 0."""
    return int.from_bytes(os.urandom(6), "big") or 1


def continue_or_begin(
    database: Database,
    witness: CommitWitness,
    damage: str,
    draw: Callable[[], int] = random_generation,
) -> GenerationChoice:
    """The generation to use. It is synced, and the witness stands for it. Raises StorageFailed.

    `damage` says what was repaired; it is empty if the database is as it was closed.
    """
    choice = _choice(database, witness, damage)
    is_new = bool(choice.why_new) or not choice.generation
    if witness.boot and database.get(_BOOT_KEY) != witness.boot:
        database.write([(_BOOT_KEY, witness.boot)])
        database.sync()  # never is more than one write unsynced
    if is_new:
        choice = replace(choice, generation=new_generation(database, draw))
    database.sync()
    if is_new:
        witness.begin(choice.generation, stored_number(database, SEQUENCE))
    return choice


def _choice(database: Database, witness: CommitWitness, damage: str) -> GenerationChoice:
    """The generation that continues, or why a new one begins; the generation 0 stands for a new store."""
    kept, sequence, found = (
        kept_generation(database),
        stored_number(database, SEQUENCE),
        witness.found,
    )
    if kept is None:
        return GenerationChoice(0)
    if damage:
        return GenerationChoice(kept, "the database was repaired")
    if found is None:
        return GenerationChoice(kept, "no witness of the last commit exists")
    if not found.is_same_boot:
        return GenerationChoice(kept, "the machine was restarted")
    if found.generation != kept:
        return GenerationChoice(kept, "the files are not those that this machine wrote last")
    if sequence < found.sequence:
        return GenerationChoice(kept, "changes are missing", found.sequence - sequence)
    if sequence < found.written:
        return GenerationChoice(kept, "a change that nobody saw is missing")
    return GenerationChoice(kept)


def explains_torn_end(database: Database, witness: CommitWitness) -> bool:
    """Whether nothing is missing, or a power cut has interrupted the last write before it was answered.

    Otherwise the torn end of the log may have held changes that were answered. Raises StorageFailed.
    """
    kept, found, boot = kept_generation(database), witness.found, database.get(_BOOT_KEY)
    if kept is None or (boot and witness.boot and boot != witness.boot):
        return True
    is_same = found is not None and found.is_same_boot and found.generation == kept
    return found is not None and is_same and stored_number(database, SEQUENCE) >= found.sequence


def new_generation(database: Database, draw: Callable[[], int] = random_generation) -> int:
    """Writes a new random generation. The caller syncs the database before it uses the number. Raises StorageFailed."""
    generation = draw()
    database.write([generation_entry(generation)])
    return generation


def generation_entry(generation: int) -> tuple[bytes, bytes]:
    """The entry of the database that holds the generation."""
    return _GENERATION_KEY, msgpack.packb((generation,))
