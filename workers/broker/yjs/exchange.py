"""Passes awareness on: between the clients of this process, and through sync to the other nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from peatnode.errors import LinkError, MalformedUpdate
from peatnode.ipc.messages import AwarenessSeen, FollowAwareness, PublishAwareness
from peatnode.model.peer_limits import MIN_STATE_BYTES
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.awareness import (
    ClientState,
    decode_states,
    encode_parts,
    encode_states,
)
from workers.broker.yjs.presence import MALFORMED, Name, Presence
from workers.broker.yjs.room import Room, RoomMember
from workers.broker.yjs.wire import encode_awareness

PAUSE_SECONDS = 0.5
"""Pause before the sync worker is followed again."""

TOO_FAST = "too_fast"


class AwarenessExchange:
    """The presence that this process knows, and the streams by which it comes and goes.

    A client that sends faster than its rate loses nothing but the states that newer ones have replaced meanwhile.
    """

    def __init__(
        self,
        sync: WorkerClient,
        room_of: Callable[[Name], Room | None],
        count_dropped: Callable[[str], None],
        on_states: Callable[[], None],
    ) -> None:
        """`on_states` is called when there are states that may expire."""
        self._sync = sync
        self._room_of = room_of
        self.count_dropped = count_dropped
        self._on_states = on_states
        self.presence = Presence(count_dropped)
        self._loop = asyncio.get_running_loop()
        self._following = self._loop.create_task(self._follow())
        self._unpublished: dict[Name, dict[int, None]] = {}
        """Clients whose newest states the other nodes have not been told yet."""
        self._to_publish = asyncio.Event()
        self._publishing = self._loop.create_task(self._publish_all())
        self._late: dict[RoomMember, asyncio.TimerHandle] = {}
        """Members with states that nobody has been told yet."""

    # --- from the clients of this process

    def receive(self, room: Room, member: RoomMember, payload: bytes) -> None:
        """Applies the states that a client sent, and forwards them. Raises MalformedUpdate."""
        states = decode_states(payload)
        now = self._loop.time()
        changed = self.presence.apply(room.name, states, member.speaker, now)
        removals = self.presence.removals_of(room.name, states)
        if removals:
            member.outbox.put(encode_awareness(encode_states(removals)))
        if not changed:  # clients send back the states that they receive
            return
        member.untold |= dict.fromkeys(state.client for state in changed)
        if member in self._late:
            self.count_dropped(TOO_FAST)
        else:
            self._tell(room, member)
        self._on_states()

    def _tell(self, room: Room, member: RoomMember) -> None:
        """Sends the newest states of a member to the others, now or as soon as its rate allows."""
        self._late.pop(member, None)
        states = self.presence.states_of(room.name, member.untold)
        if not states:  # others have taken their room
            member.untold.clear()
            return
        encoded, now = encode_states(states), self._loop.time()
        if member.speaker.allowance.take(len(encoded), now):
            member.untold.clear()
            room.broadcast(encode_awareness(encoded), excluded=member.origin)
            self._publish(room.name, states)
        else:
            wait = member.speaker.allowance.seconds_until(len(encoded), now)
            self._late[member] = self._loop.call_later(wait, self._tell, room, member)

    def leave(self, room: Room, member: RoomMember) -> None:
        """Removes the states of a connection that has ended, here and on the other nodes."""
        if member in self._late:
            self._late.pop(member).cancel()
        leaving = self.presence.remove(room.name, member.speaker, self._loop.time())
        if leaving:
            self._broadcast(room.name, leaving)
            self._publish(room.name, leaving)

    def _broadcast(self, name: Name, states: list[ClientState]) -> None:
        room = self._room_of(name)
        if room is not None:
            room.broadcast(encode_awareness(encode_states(states)))

    # --- to and from the other nodes

    def _publish(self, name: Name, states: list[ClientState]) -> None:
        """Has states sent to the other nodes. A lost message is harmless: clients renew states every 15 s."""
        self._unpublished.setdefault(name, {}).update(dict.fromkeys(s.client for s in states))
        self._to_publish.set()

    async def _publish_all(self) -> None:
        """While sync is busy, newer states of a client replace those that wait."""
        while True:
            await self._to_publish.wait()
            self._to_publish.clear()
            while self._unpublished:
                name = next(iter(self._unpublished))
                states = self.presence.states_of(name, self._unpublished.pop(name))
                with contextlib.suppress(LinkError):
                    for payload in encode_parts(states):
                        await self._sync.send(PublishAwareness(*name, payload))

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(LinkError, MemoryError):
                async for event in self._sync.follow(FollowAwareness()):
                    self._seen(event)
            await asyncio.sleep(PAUSE_SECONDS)

    def _seen(self, event: AwarenessSeen) -> None:
        try:
            states = decode_states(event.payload)
        except MalformedUpdate:  # the other node has checked it, but its version may be newer
            self.count_dropped(MALFORMED)
            return
        name, now = (event.collection, event.id), self._loop.time()
        peer = self.presence.peer(event.sender)
        if not peer.allowance.take(max(len(event.payload), len(states) * MIN_STATE_BYTES), now):
            self.count_dropped(TOO_FAST)
            return
        changed = self.presence.apply(name, states, peer, now)
        if changed:
            self._broadcast(name, changed)
            self._on_states()

    # --- time

    def remove_expired(self) -> None:
        self.presence.remove_expired(self._loop.time(), self._broadcast)

    def close(self) -> None:
        for task in (self._following, self._publishing):
            task.cancel()
        for timer in self._late.values():
            timer.cancel()
