"""Passes awareness on between the Yjs clients of all nodes, each message once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import Protocol

from peatnode.documents.names import check_collection, check_id
from peatnode.errors import BadName
from peatnode.model.peer_limits import (
    AWARENESS_KEY_BYTES,
    INSTANCE_BYTES,
    MAX_AWARENESS_BYTES,
)
from peatnode.protocol.sync.events import AwarenessPublished, AwarenessReceived
from peatnode.protocol.sync.session import PeerSession
from peatnode.protocol.wire.messages import Awareness

TOO_LARGE = "awareness too large"
TOO_FAST = "awareness too fast"
MALFORMED = "malformed awareness"
"""Reasons for which a message is dropped and counted. None of them ends a connection: it may be the client's fault of
an honest node of another version, and awareness is renewed."""

MAX_AWARENESS_SEEN = 4096
"""Keys that are remembered: those of a few seconds."""


class RandomBytes(Protocol):
    """The part of `random.Random` that makes keys."""

    def randbytes(self, n: int, /) -> bytes: ...


class AwarenessRelay:
    """The messages that were seen, at most MAX_AWARENESS_SEEN."""

    def __init__(
        self,
        instance: bytes,
        randomness: RandomBytes,
        sessions: Collection[PeerSession],
        send: Callable[[PeerSession, Awareness], None],
        deliver: Callable[[AwarenessReceived], None],
        count_dropped: Callable[[str], None],
    ) -> None:
        """`instance` is that of this node; `sessions` are the present ones at any time."""
        self._instance = instance
        self._random = randomness
        self._sessions = sessions
        self._send = send
        self._deliver = deliver
        self._count_dropped = count_dropped
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def publish(self, event: AwarenessPublished, now: float) -> None:
        """A client of this node has published it."""
        if len(event.payload) > MAX_AWARENESS_BYTES:
            self._count_dropped(TOO_LARGE)
            return
        key = self._random.randbytes(AWARENESS_KEY_BYTES)
        message = Awareness(key, event.collection, event.id, event.payload, self._instance)
        self._is_new(message)
        for session in self._sessions:
            self._send_to(session, message, now)

    def receive(self, sender: PeerSession, message: Awareness, now: float) -> None:
        """Delivers what is new, and passes it on to the peers that do not have it."""
        reason = _reason_to_drop(message)
        if not reason and not sender.received_awareness.take(len(message.payload), now):
            reason = TOO_FAST
        if reason:
            self._count_dropped(reason)
            return
        if not self._is_new(message):
            return
        names = message.collection, message.id
        self._deliver(AwarenessReceived(*names, message.payload, sender.instance))
        for session in self._sessions:
            instance = session.member.instance
            has_it = instance in sender.neighbours or instance == message.origin
            if session is not sender and not has_it:
                self._send_to(session, message, now)

    def _send_to(self, session: PeerSession, message: Awareness, now: float) -> None:
        """Drops what the peer would not take: clients renew their states."""
        if session.sent_awareness.take(len(message.payload), now):
            self._send(session, message)
        else:
            self._count_dropped(TOO_FAST)

    def _is_new(self, message: Awareness) -> bool:
        """Two messages with one key are two messages: who repeats the key of another's hides nothing."""
        names = f"{message.collection}/{message.id}".encode()
        digest = sha256(message.key + message.origin + len(names).to_bytes(4, "big") + names)
        digest.update(message.payload)
        key = digest.digest()
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_AWARENESS_SEEN:
            self._seen.popitem(last=False)
        return True


def _reason_to_drop(message: Awareness) -> str:
    """Why no client of this node receives it; empty: it may."""
    if len(message.payload) > MAX_AWARENESS_BYTES:
        return TOO_LARGE
    if len(message.key) != AWARENESS_KEY_BYTES or len(message.origin) != INSTANCE_BYTES:
        return MALFORMED
    try:
        check_collection(message.collection)
        check_id(message.id)
    except BadName:
        return MALFORMED
    return ""
