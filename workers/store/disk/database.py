"""The database: RocksDB. Only this module imports rocksdict, and it translates the errors of that library."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from peatnode.errors import StorageFailed
from workers.store.disk.log.write_ahead_log import WriteAheadLog

__all__ = ["Database", "Recovery", "StorageFailed"]

MEMTABLE_BYTES = 4 * 1024 * 1024
BLOCK_CACHE_BYTES = 6 * 1024 * 1024
WAL_BYTES = 16 * 1024 * 1024
OPEN_FILES = 128
ZSTD_LEVEL = 3

_DEFAULT_WINDOW_BITS = -14


class Recovery(Enum):
    """Damage of the log that is tolerated when the database is opened."""

    NOTHING = DBRecoveryMode.absolute_consistency()
    TORN_END = DBRecoveryMode.point_in_time()
    """Everything from the first damage on is dropped. `log/records.py` tells whether that is one torn write."""
    ANYTHING = DBRecoveryMode.skip_any_corrupted_record()
    """Damaged batches are dropped, and the batches after them are read."""


def _options(recovery: DBRecoveryMode) -> Options:
    """Options with which the whole database needs about 25 MB of memory."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_wal_recovery_mode(recovery)
    options.set_paranoid_checks(True)
    options.set_write_buffer_size(MEMTABLE_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_arena_block_size(128 * 1024)
    options.set_max_total_wal_size(WAL_BYTES)
    options.set_max_open_files(OPEN_FILES)
    options.set_max_background_jobs(2)
    options.set_level_zero_file_num_compaction_trigger(2)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_bytes_for_level_base(16 * 1024 * 1024)
    options.set_target_file_size_base(8 * 1024 * 1024)
    options.set_compression_type(DBCompressionType.zstd())
    options.set_compression_options(_DEFAULT_WINDOW_BITS, ZSTD_LEVEL, 0, 0)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1024 * 1024)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_max_manifest_file_size(1024 * 1024)
    options.set_manifest_preallocation_size(64 * 1024)
    options.set_skip_stats_update_on_db_open(True)
    options.set_max_file_opening_threads(1)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    table.set_block_size(16 * 1024)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_format_version(5)
    options.set_block_based_table_factory(table)
    return options


def _translated(error: Exception) -> StorageFailed | MemoryError:
    """rocksdict raises nothing narrower than Exception for its own errors. Too little memory is none of the disk's."""
    return error if isinstance(error, MemoryError) else StorageFailed(str(error))


class Database:
    """An open database with one writer. It is the `KeyValue` of the replica."""

    def __init__(
        self,
        path: Path,
        recovery: Recovery = Recovery.NOTHING,
        is_read_only: bool = False,
        links: Path | None = None,
    ) -> None:
        """Opens or creates the database. A read-only database refuses all writes.

        `links` is a directory with links to the files, which `close` removes: rocksdict writes a file whenever it opens
        a database.
        Raises StorageFailed, also if the log has damage that `recovery` does not tolerate.
        """
        self.path = path
        self._links = links
        access = AccessType.read_only() if is_read_only else AccessType.read_write()
        try:
            options = _options(recovery.value)
            self._db = Rdict(
                str(links or path),
                options,
                # for a family that is not named, rocksdict takes what the file of options says, damaged or not
                column_families={"default": options},
                access_type=access,
            )
        except Exception as error:  # rocksdict raises nothing narrower
            self._remove_links()
            raise _translated(error) from error
        self._get = self._db.get
        self._options = WriteOptions()
        self.is_read_only = is_read_only
        self._log = WriteAheadLog(path)

    @staticmethod
    def repair(path: Path) -> None:
        """Runs RocksDB's own repair on a closed database. Raises StorageFailed."""
        try:
            Rdict.repair(str(path), _options(Recovery.ANYTHING.value))
        except Exception as error:
            raise _translated(error) from error

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. Raises StorageFailed."""
        try:
            found: bytes | None = self._get(key)
        except Exception as error:
            raise _translated(error) from error
        return found

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end. Raises StorageFailed where rocksdict would end without an error."""
        entries = self._db.iter()
        try:
            if reverse:
                entries.seek_for_prev(end)
                if entries.valid() and entries.key() == end:
                    entries.prev()
            else:
                entries.seek(start)
            while entries.valid():
                key = entries.key()
                if key < start or (key >= end and not reverse):
                    break
                yield key, entries.value()
                entries.prev() if reverse else entries.next()
            entries.status()
        except GeneratorExit:
            raise
        except Exception as error:
            raise _translated(error) from error

    def write(self, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Writes all puts and deletions (None), or none. Reads see them at once, and `sync` brings them to the disk.

        Raises StorageFailed.
        """
        if self.is_read_only:
            raise StorageFailed("the database is read-only until the disk accepts writes again")
        batch = WriteBatch(raw_mode=True)
        for key, value in writes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        try:
            self._db.write(batch, self._options)
        except Exception as error:
            raise _translated(error) from error

    def sync(self) -> None:
        """Returns when all writes are on disk. Raises StorageFailed.

        It may run in a thread: unlike RocksDB's own sync, it releases the interpreter's lock while the disk works.
        """
        try:
            self._log.sync()
        except OSError as error:
            raise StorageFailed(f"the log could not be synced: {error}") from error

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Deletes the entries with start <= key < end. Raises StorageFailed."""
        try:
            self._db.delete_range(start, end)
        except Exception as error:
            raise _translated(error) from error

    def flush(self) -> None:
        """Writes the content of the log to sorted files. Raises StorageFailed."""
        try:
            self._db.flush(True)
        except Exception as error:
            raise _translated(error) from error
        self._log.note_files()

    @property
    def newest_write(self) -> int:
        """RocksDB's own number of the last write. It is not the sequence of a change."""
        return int(self._db.latest_sequence_number())

    def property(self, name: str) -> int:
        """An integer property of RocksDB; 0 if it has no such property."""
        return self._db.property_int_value(f"rocksdb.{name}") or 0

    def close(self) -> None:
        """Closes the database. All synced writes are on disk; rocksdict flushes the log as well, if it can.

        RocksDB repeats earlier errors here. They are ignored.
        """
        with contextlib.suppress(Exception):  # rocksdict raises nothing narrower
            self._db.close()
        del self._get, self._db  # closes the files and releases the lock
        if not self.is_read_only:
            self._log.note_files()
        self._log.close()
        self._remove_links()

    def _remove_links(self) -> None:
        if self._links is not None:
            shutil.rmtree(self._links, ignore_errors=True)
