"""The control link of a process whose main thread runs foreign code: gunicorn's master."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

from peatnode.ipc.messages import Ping, Pong, StopWorker
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink
from peatnode.worker.lifetime import exit_process
from peatnode.worker.memory import MemoryGauge, family_memory_bytes, settle_memory


def answer_control_in_thread(
    context: WorkerContext,
    on_stop: Callable[[float], None],
    measure_stall: Callable[[], float] = lambda: 0.0,
) -> ControlLink:
    """Answers the supervisor in a thread, and returns the link, on which the caller may send.

    In that thread, `on_stop(seconds)` is called when the supervisor orders the stop, and `measure_stall()`
    at each ping: it returns the delay of the event loops of the child processes in seconds. The process
    exits if the supervisor exits.
    """
    settle_memory()
    control = ControlLink(context.control, context.name)
    control.greet()
    memory = MemoryGauge(family_memory_bytes)

    def serve() -> None:
        while True:
            select.select([context.control], [], [])
            messages = control.receive()
            if messages is None:
                exit_process(1)
            for message in messages:
                match message:
                    case Ping(number):
                        control.send(Pong(number, memory.read(), measure_stall()))
                    case StopWorker(seconds):
                        on_stop(seconds)

    threading.Thread(target=serve, name="control", daemon=True).start()
    return control
