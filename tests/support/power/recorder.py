"""The recorder: a process with its environment leaves a trace of what it did to the files below one directory."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from tests.support.interposer import compiled
from tests.support.power.disk import Directory, Disk, File, Names, Syncs, loaded
from tests.support.power.trace import Event, read_trace

SOURCE = Path(__file__).with_name("recorder.c")


class Recorder:
    """`env` is for the process that is recorded. Several may follow each other, and continue one trace.

    What is below `root` when it is made counts as durable. `boot` is the number of the boot of their machine.
    """

    def __init__(
        self, library: Path, root: Path, trace: Path, boot: int, sync_microseconds: int
    ) -> None:
        root.mkdir(exist_ok=True)
        self.root = root.resolve()
        self._base = loaded(self.root)
        self.trace = trace
        boot_id = trace.with_name("boot_id")
        boot_id.write_text(f"{boot:08x}-0000-4000-8000-000000000000\n")
        self.env = {
            "LD_PRELOAD": str(library),
            "POWER_ROOT": str(self.root),
            "POWER_TRACE": str(trace),
            "POWER_BOOT_ID": str(boot_id),
            "POWER_SYNC_MICROSECONDS": str(sync_microseconds),
        }

    def recording(self) -> Recording:
        """The trace, after the processes have ended. Fails if it does not account for what is on disk."""
        found = Recording(read_trace(self.trace), self._base)
        disk = found.disk()
        disk.replay(found.events)
        assert_same(disk.root, self.root)
        return found


@dataclass(frozen=True, slots=True)
class Recording:
    events: list[Event]
    base: Directory
    """The files before the first event. All of them are durable."""

    def disk(self, names: Names = Names.STRICT, syncs: Syncs = Syncs.ALL) -> Disk:
        """A disk before the first event."""
        disk = Disk(names, syncs)
        disk.root = deepcopy(self.base)
        return disk


def compiled_recorder(directory: Path) -> Path:
    """Skips the test where there is no compiler."""
    return compiled(SOURCE.read_text(), directory, "recorder")


def assert_same(directory: Directory, path: Path) -> None:
    """Every file is in the model as it is on disk: no call has escaped the recorder."""
    assert sorted(directory.names) == sorted(os.listdir(path)), path
    for name, found in directory.names.items():
        if isinstance(found, Directory):
            assert_same(found, path / name)
        else:
            assert not found.is_tracked or is_same(found, path / name), path / name


def is_same(file: File, path: Path) -> bool:
    return file.content() == path.read_bytes()
