"""Starts the store: opens its database as well as the disk allows, and serves it until the worker stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from peatnode.documents.content.unit_sums import UnitSums
from peatnode.identity import content_key
from peatnode.ipc.link import serve
from peatnode.worker.shell import WorkerShell
from workers.store.disk.advice import advice_of
from workers.store.disk.database import StorageFailed
from workers.store.disk.open import OpenedStore, mark_for_repair, open_store, open_to_read
from workers.store.service import StoreService
from workers.store.upgrade import is_summed, sum_anew

REOPEN_SECONDS = 1.0
"""Pause before a database that could not be opened is tried again."""


async def _open(shell: WorkerShell) -> tuple[StoreService, OpenedStore] | None:
    """Opens the database, and tries again while the disk fails. None: the worker has to stop."""
    is_waiting = False
    sums = UnitSums(content_key(shell.config.secret.reveal()))
    while not shell.stopping.is_set():
        try:
            opened = await asyncio.to_thread(
                open_store, shell.config.data_dir, shell.config.run_dir
            )
            service = await _served(shell, opened, sums)
        except StorageFailed as error:
            if not is_waiting:
                shell.log.error("Cannot open the database", reason=str(error))
            is_waiting = True
            if reading := await _read_only(shell, error, sums):
                return reading
            shell.raise_problem(
                "storage",
                f"the store waits for its disk: {error}",
                advice_of(error, shell.config.data_dir),
                blocks_readiness=True,
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(shell.stopping.wait(), REOPEN_SECONDS)
            continue
        if service is not None:
            shell.clear_problem("storage")
            return service, opened
    return None


async def _read_only(
    shell: WorkerShell, why: StorageFailed, sums: UnitSums
) -> tuple[StoreService, OpenedStore] | None:
    """A service that only answers reads. When the disk accepts writes again, a new worker replaces this one."""
    try:
        opened = await asyncio.to_thread(open_to_read, shell.config.data_dir, shell.config.run_dir)
    except StorageFailed:
        return None
    try:
        service = StoreService(shell, opened, sums) if is_summed(opened.database, sums) else None
    except StorageFailed:
        service = None
    if service is None:
        opened.close()
        return None
    service.disk.write_failed(why)
    return service, opened


async def _served(shell: WorkerShell, opened: OpenedStore, sums: UnitSums) -> StoreService | None:
    """The service of an opened database; None if the worker has to stop, or if there is damage that the next opening
    repairs: the database is closed then. Raises StorageFailed.
    """

    def report(records: int) -> None:
        shell.log.info("Content sums are computed anew", documents=records)

    try:
        is_done = await asyncio.to_thread(
            sum_anew, opened.database, sums, report, shell.stopping.is_set
        )
        if is_done:
            return StoreService(shell, opened, sums)
        opened.close()
        return None
    except StorageFailed as error:
        opened.close()
        if not mark_for_repair(opened.database.path, error, opened.repair):
            raise
        return None


def _report_losses(shell: WorkerShell, opened: OpenedStore) -> None:
    """Tells the operator what the opening has found. The store is ready nevertheless."""
    if opened.damage:
        shell.log.error("Database was damaged and has been repaired", damage=opened.damage)
        shell.raise_problem(
            "mended",  # part of the machine-readable status
            f"the database was damaged and has been repaired: {opened.damage}",
            "Documents that were lost come back from the peers. Check the disk. A restart ends this notice.",
        )
    choice = opened.choice
    if choice.why_new:
        shell.log.info("Generation begins", generation=choice.generation, reason=choice.why_new)
    if choice.missing:
        shell.log.error("Store has lost its last changes", changes=choice.missing)
        shell.raise_problem(
            "lost",
            f"the store has lost its last {choice.missing} changes: its volume was put back to an earlier "
            "state, or its log was damaged",
            "What the peers had received comes back from them. If nobody restored this volume, check the disk. "
            "A restart ends this notice.",
        )


async def main(shell: WorkerShell) -> None:
    found = await _open(shell)
    if found is None:
        return
    service, opened = found
    _report_losses(shell, opened)
    server = await serve(
        shell.context.listeners["store"], "store", service.on_message, service.on_close
    )
    tasks: list[asyncio.Future[Any]] = [
        asyncio.create_task(service.committer.run()),
        asyncio.create_task(service.maintenance.run()),
        asyncio.create_task(shell.wait_stop()),
    ]
    if not opened.database.is_read_only:
        tasks.append(asyncio.create_task(service.scrub.run()))
    shell.ready()
    done, _ = await asyncio.wait(
        [*tasks, service.committer.failed], return_when=asyncio.FIRST_COMPLETED
    )
    for finished in done:
        finished.result()
    await service.committer.drain()
    for task in tasks:
        task.cancel()
    await server.close()
    await service.engine.close()
    try:
        if not opened.database.is_read_only:
            sequence = service.checkpoints.write_at_stop()
            service.ended.save_totals_at_stop()
            opened.database.flush()
            service.checkpoints.flushed(sequence)
            opened.database.sync()
    except StorageFailed as error:  # no change is lost: the log is on disk
        shell.log.warning("Cannot flush", reason=str(error))
    opened.close()
