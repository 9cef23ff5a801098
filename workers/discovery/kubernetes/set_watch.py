"""Follows the StatefulSet of this pod, so that the node knows whether it leaves the mesh for good when it stops.

The set is watched all the time, because `helm uninstall` deletes the permission to read it right after the set
itself, seconds before the pods are told to stop.
"""

from __future__ import annotations

import asyncio
import random

from peatnode import logs
from workers.discovery.kubernetes.api_client import ApiClient, CallFailed
from workers.discovery.kubernetes.objects import MalformedAnswer
from workers.discovery.kubernetes.stateful_set import (
    GONE,
    PodPlace,
    SetState,
    read_set,
    read_set_event,
    reason_to_leave,
)

ASK_SECONDS = 0.8
"""Time for the API server to answer while the node stops. Shorter than the second for which sync waits, so that
what is known counts while the server is silent."""

WATCH_SECONDS = 600
"""The time after which the server is asked to end a watch, plus or minus a fifth."""

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 120.0
"""Between two watches, doubled after each short one; half of it is random."""

PROVEN_SECONDS = 5.0
"""A watch that lasted this long is followed by the next one after SHORTEST_PAUSE."""


class SetWatch:
    """What is known of one StatefulSet. Failures change nothing: a node does not leave because of an error."""

    def __init__(self, client: ApiClient, namespace: str, place: PodPlace) -> None:
        self._client = client
        self._place = place
        self._collection = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
        self._state: SetState | None = None
        """None: it has never been seen, and so its absence says nothing about this pod."""
        self._log = logs.get_logger("discovery.kubernetes")
        self._failure = ""

    async def run(self) -> None:
        """Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        pause = SHORTEST_PAUSE
        while True:
            began = loop.time()
            try:
                await self._read()
                await self._watch()
            except (CallFailed, MalformedAnswer) as error:
                self._note(error)
            is_proven = loop.time() >= began + PROVEN_SECONDS
            pause = SHORTEST_PAUSE if is_proven else min(LONGEST_PAUSE, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter

    async def departure(self) -> str:
        """Why this pod will not come back; empty if it will, or if nobody knows. Takes ASK_SECONDS at most."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._read()
        except (CallFailed, MalformedAnswer, TimeoutError) as error:
            self._note(error)  # what the watch has seen last counts
        return self.known_reason

    @property
    def known_reason(self) -> str:
        """The same, as far as it was seen last."""
        return reason_to_leave(self._place, self._state) if self._state is not None else ""

    async def _read(self) -> None:
        """Asks for the set. Raises CallFailed, with the status 404 if it does not exist, or MalformedAnswer."""
        try:
            body = await self._client.get(f"{self._collection}/{self._place.set_name}", {})
        except CallFailed as error:
            if error.status == 404:
                self._see(GONE)
            raise
        self._see(read_set(body))

    async def _watch(self) -> None:
        """Returns when the server ends the watch. Raises CallFailed or MalformedAnswer.

        It begins with the set as it is now, because the version of a set that has not changed for minutes is too
        old to watch from.
        """
        query = {
            "fieldSelector": f"metadata.name={self._place.set_name}",
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(WATCH_SECONDS * random.uniform(0.8, 1.2))),  # noqa: S311
        }
        async with self._client.stream(self._collection, query) as batches:
            async for lines in batches:
                for line in lines:
                    event = read_set_event(line)
                    if event.error:
                        raise CallFailed(event.error)
                    if event.state is not None:
                        self._see(event.state)

    def _see(self, state: SetState) -> None:
        if state.is_deleted and self._state is None:
            return
        self._state = state

    def _note(self, error: Exception) -> None:
        failure = str(error) or type(error).__name__
        if failure != self._failure:
            self._failure = failure
            self._log.debug("StatefulSet unknown", name=self._place.set_name, reason=failure)
