"""Which worker of pytest-xdist runs which file, also when a worker dies."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class FileScheduling(LoadFileScheduling):
    """Whole files, as `--dist loadfile`. The end of a worker fails the test that it ran, and the run goes on.

    pytest-xdist 3.8 gives all files of a dead worker to the others, finished ones included. A worker that gets no
    test reports none, is never asked again, and the run does not end.
    """

    def remove_node(self, node: WorkerController) -> str | None:
        left = {
            file: [test for test, is_done in tests.items() if not is_done]
            for file, tests in self.assigned_work.pop(node).items()
        }
        running = next((tests.pop(0) for tests in left.values() if tests), None)
        self.workqueue.update(
            {file: dict.fromkeys(tests, False) for file, tests in left.items() if tests}
        )
        for other in self.assigned_work:
            self._reschedule(other)
        return running

    def _reschedule(self, node: WorkerController) -> None:
        """A new worker asks for work itself, when it has collected the tests."""
        if node in self.registered_collections:
            super()._reschedule(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling | None:
    """The hook of pytest-xdist."""
    return FileScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
