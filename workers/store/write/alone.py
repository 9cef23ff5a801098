"""Requests whose computation takes long: it runs outside of the batches, and only its own document waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from peatnode.ipc.messages import Failed, Failure
from workers.store.engine.client import EngineClient, EngineUnavailable
from workers.store.engine.question import EngineQuestion
from workers.store.engine.refusal import ENGINE_AWAY
from workers.store.write.work import FinishAlone, QueuedRequest, keys_of

MAX_COMPUTED = 32
"""Computations that wait for their turn; one more is refused."""
PARKED_SECONDS = 12.0
"""Added to the time that a request waits for the engine: so long it waits for a computation of its document."""

_BUSY = "a large change of the document takes long; try again in a moment"


class AloneRequests:
    """The documents whose computation is running, and the requests that wait for it, in order.

    When a computation has ended, its request returns to the queue with the result, before those that waited.
    """

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine
        self._locked: set[bytes] = set()
        self._finished: set[bytes] = set()
        self._parked: list[QueuedRequest] = []
        self._parked_keys: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requeue: Callable[[Iterable[QueuedRequest]], None] = lambda _: None
        """Puts requests at the front of the queue. The owner of the queue sets it."""

    def __len__(self) -> int:
        return len(self._tasks) + len(self._parked)

    def park(self, request: QueuedRequest) -> bool:
        """Keeps a request if one of its documents is busy, or if an earlier request for it waits."""
        if not self._locked or isinstance(request.work, FinishAlone):
            return False
        keys = keys_of(request.work)
        if not any(key in self._locked or key in self._parked_keys for key in keys):
            return False
        self._parked.append(request)
        self._parked_keys.update(keys)
        return True

    def start(self, request: QueuedRequest, question: EngineQuestion) -> None:
        """Begins a computation. Its document is busy until `finish` has been called and the batch is built."""
        if len(self._tasks) >= MAX_COMPUTED:
            request.reply = Failed(Failure.BUSY, "too many large changes are waiting; try again")
            request.answer()
            return
        self._locked.add(question.key)
        task = asyncio.create_task(self._compute(request, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compute(self, request: QueuedRequest, question: EngineQuestion) -> None:
        try:
            result = await self._engine.ask_alone(question)
        except EngineUnavailable:
            request.reply = ENGINE_AWAY
            self.finish(question.key)
            self.release_finished()
            request.answer()
            return
        work = FinishAlone(request.work, question, result)
        self.requeue([request.with_work(work)])

    def finish(self, key: bytes) -> None:
        """Notes that the result of a computation is taken."""
        self._finished.add(key)

    def release_finished(self) -> None:
        """Returns the requests that waited to the queue, after a batch is built."""
        if not self._finished:
            return
        self._locked -= self._finished
        self._finished.clear()
        parked, self._parked = self._parked, []
        self._parked_keys.clear()
        self.requeue(parked)

    def give_up_parked(self) -> None:
        """Answers the requests that have waited too long."""
        now = asyncio.get_running_loop().time()
        late = [each for each in self._parked if each.deadline + PARKED_SECONDS <= now]
        for request in late:
            self._parked.remove(request)
            self._parked_keys.subtract(keys_of(request.work))
            request.reply = Failed(Failure.BUSY, _BUSY)
            request.answer()
        if late:
            self._parked_keys = +self._parked_keys
