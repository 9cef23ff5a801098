"""Answers the supervisor in a thread, so that no heartbeat waits behind work of the main thread."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

from peatnode.ipc.messages import Ping, Pong, StopWorker
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink
from peatnode.worker.lifetime import exit_process
from peatnode.worker.memory import MemoryGauge, family_memory_bytes, settle_memory


def serve_control_in_thread(
    control: ControlLink, on_ping: Callable[[int], Pong], on_stop: Callable[[float], None]
) -> None:
    """Calls `on_ping(number)`, whose answer is sent, and `on_stop(seconds)` in a thread of its own.

    The process exits if the supervisor exits.
    """

    def serve() -> None:
        while True:
            select.select([control.socket], [], [])
            messages = control.receive()
            if messages is None:
                exit_process(1)
            for message in messages:
                match message:
                    case Ping(number):
                        control.send(on_ping(number))
                    case StopWorker(seconds):
                        on_stop(seconds)

    threading.Thread(target=serve, name="control", daemon=True).start()


def answer_control_in_thread(
    context: WorkerContext,
    on_stop: Callable[[float], None],
    measure_stall: Callable[[], float] = lambda: 0.0,
) -> ControlLink:
    """Answers for a process whose main thread runs foreign code (gunicorn's master), and returns the link.

    The caller may send on the link. `on_stop(seconds)` is called when the supervisor orders the stop, and
    `measure_stall()` at each ping: it returns the delay of the event loops of the child processes in seconds.
    """
    settle_memory()
    control = ControlLink(context.control, context.name)
    control.greet()
    memory = MemoryGauge(family_memory_bytes)
    serve_control_in_thread(
        control, lambda number: Pong(number, memory.read(), measure_stall(), number), on_stop
    )
    return control
