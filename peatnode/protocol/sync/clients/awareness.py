"""Passes awareness on between the Yjs clients of all nodes, each message once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Protocol

from peatnode.model.peer_limits import AWARENESS_KEY_BYTES, MAX_AWARENESS_BYTES
from peatnode.protocol.sync.events import AwarenessPublished, AwarenessReceived
from peatnode.protocol.sync.session import PeerSession
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Awareness

MAX_AWARENESS_SEEN = 4096
"""Keys that are remembered: those of a few seconds."""


class RandomBytes(Protocol):
    """The part of `random.Random` that makes keys."""

    def randbytes(self, n: int, /) -> bytes: ...


class AwarenessRelay:
    """The keys of the messages that were seen, at most MAX_AWARENESS_SEEN."""

    def __init__(
        self,
        instance: bytes,
        randomness: RandomBytes,
        sessions: Collection[PeerSession],
        send: Callable[[PeerSession, Awareness], None],
        deliver: Callable[[AwarenessReceived], None],
    ) -> None:
        """`instance` is that of this node; `sessions` are the present ones at any time."""
        self._instance = instance
        self._random = randomness
        self._sessions = sessions
        self._send = send
        self._deliver = deliver
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def publish(self, event: AwarenessPublished) -> None:
        """A client of this node has published it."""
        key = self._random.randbytes(AWARENESS_KEY_BYTES)
        message = Awareness(key, event.collection, event.id, event.payload, self._instance)
        self._is_new(key)
        for session in self._sessions:
            self._send(session, message)

    def receive(self, sender: PeerSession, message: Awareness) -> None:
        """Delivers what is new, and passes it on to the peers that do not have it. Raises PeerFault."""
        if len(message.payload) > MAX_AWARENESS_BYTES or len(message.key) != AWARENESS_KEY_BYTES:
            raise PeerFault("malformed message", "awareness")
        if not self._is_new(message.key):
            return
        origin = message.origin.hex()
        self._deliver(AwarenessReceived(message.collection, message.id, message.payload, origin))
        for session in self._sessions:
            instance = session.member.instance
            has_it = instance in sender.neighbours or instance == message.origin
            if session is not sender and not has_it:
                self._send(session, message)

    def _is_new(self, key: bytes) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_AWARENESS_SEEN:
            self._seen.popitem(last=False)
        return True
