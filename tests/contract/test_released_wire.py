"""Nodes of every released version and of this one in one mesh: each reads the other, and they become equal."""

from __future__ import annotations

import hmac
from collections import deque
from hashlib import sha256
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from peatnode.identity import (
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
    instance_private_key,
)
from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import ChangesSeen
from peatnode.model.sync import ApplyUpdates
from peatnode.protocol.connect.handshake import Authentication, Credentials, Member
from peatnode.protocol.sync import events
from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.wire import messages as wire
from tests.contract.test_peer_bytes_golden import PEER_MESSAGES
from tests.sim.replicas import ReplicaStore
from tests.support import seeds
from tests.support.feed_changes import change_of
from tests.support.released_node import (
    PUSH,
    ROOT,
    UPDATES,
    ReleasedNode,
    packed,
    unpack_batch,
)
from tests.support.releases import RELEASES, session_of

SIDES = (("first", "second"), ("second", "first"))
SECRET = bytes(range(32))

SAME_WIRE = [release for release in RELEASES if session_of(release)["wire"] == wire.VERSION]
"""A release of another version is refused, which tests/unit/protocol/connect/test_handshake.py shows."""

pytestmark = pytest.mark.parametrize("release", SAME_WIRE)


class ThisNode:
    """A node of this version: its machine, and its documents in memory. `sent` is all that it says to its peer."""

    def __init__(self, name: str, documents: list[Any], peer: str) -> None:
        self.store = ReplicaStore()
        self.sent: list[bytes] = []
        self.now = 100.0
        self._apply(documents)
        self._machine = SyncMachine(name, instance_of(name), seeds.generator(name), self.now)
        self._events: deque[events.Event] = deque([ChangesSeen((), self.store.sequence)])
        smaller = min(instance_of(name), instance_of(peer))
        member = Member(peer, instance_of(peer), 1, 1, "", bytes(32), smaller)
        self.tell(events.ConnectionUp(1, member))

    def _apply(self, documents: list[Any]) -> None:
        updates = tuple(DocumentUpdate(*document) for document in documents)
        self.store.answer(ApplyUpdates(updates, "client"))

    def write(self, documents: list[Any]) -> None:
        """Changes of this node's own clients."""
        for document in documents:
            self._apply([document])
            change = change_of(self.store.sequence, "client", DocumentUpdate(*document))
            self.tell(ChangesSeen((change,), self.store.sequence))

    def receive(self, content: bytes) -> None:
        message = wire.decode(content)
        assert message is not None, "this version does not know a message of the release"
        self.tell(events.MessageReceived(1, message))

    def pass_time(self, seconds: float = 0.25) -> None:
        self.now += seconds
        self.tell(events.WakeUp())

    def tell(self, event: events.Event) -> None:
        self._events.append(event)
        while self._events:
            for action in self._machine.handle(self._events.popleft(), self.now):
                assert not isinstance(action, events.Close), action.reason
                if isinstance(action, events.Send):
                    self.sent.append(wire.encode(action.message))
                elif isinstance(action, events.AskStore):
                    answer = self.store.answer(action.question)
                    self._events.append(events.StoreAnswered(action.number, answer))

    def take_sent(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent


def instance_of(name: str) -> bytes:
    return name.encode().ljust(16, b"-")


def joined(release: str, own: str, other: str) -> tuple[ThisNode, ReleasedNode]:
    return ThisNode(own, ReleasedNode(release, own).documents, other), ReleasedNode(release, other)


# --- what this version reads of a release


@pytest.mark.parametrize(("own", "other"), SIDES)
def test_it_pulls_all_that_a_node_of_a_release_has(release: str, own: str, other: str) -> None:
    node, peer = joined(release, own, other)
    assert node.store.root != peer.root
    for _ in range(80):
        for content in node.take_sent():
            answer = peer.answer(peer.read(content))
            if answer is not None:
                node.receive(answer)
        node.receive(packed(ROOT, peer.root, False))
        node.pass_time()
    for name, push in pushes(release):
        if name == other:
            node.receive(push)
        else:
            node.write(unpack_batch(msgpack.unpackb(push)[2]))
    assert node.store.root == bytes.fromhex(session_of(release)["root"]), "they do not become equal"


def pushes(release: str) -> list[tuple[str, bytes]]:
    """What the nodes pushed in the recorded session, in its order."""
    lines = [line.split() for line in session_of(release)["messages"]]
    said = [(name, bytes.fromhex(content)) for name, content in lines]
    return [(name, content) for name, content in said if content[1] == PUSH]


@pytest.mark.parametrize("name", ["first", "second"])
def test_it_reads_every_message_of_a_release(release: str, name: str) -> None:
    node = ReleasedNode(release, name)
    assert len(node.said) > 20
    for content in node.said:
        message = wire.decode(content)
        assert message is not None
        assert msgpack.unpackb(wire.encode(message))[: len(msgpack.unpackb(content))] == (
            msgpack.unpackb(content)
        )


def test_a_release_sent_every_message_but_those_of_the_handshake(release: str) -> None:
    said = {
        content[1] for name in ("first", "second") for content in ReleasedNode(release, name).said
    }
    assert said == set(map(int, session_of(release)["reads"])) - {0, 1}


# --- what a release reads of this version


@pytest.mark.parametrize(("own", "other"), SIDES)
def test_a_node_of_a_release_gets_the_answers_it_expects(
    release: str, own: str, other: str
) -> None:
    node, peer = joined(release, own, other)
    same = ReleasedNode(release, own)
    asked = 0
    for content in peer.said:
        question = peer.read(content)
        node.take_sent()
        if question[0] not in (5, 7, 9, 10):
            continue
        node.receive(content)
        (answer,) = [peer.read(sent) for sent in node.take_sent()]
        asked += 1
        assert comparable(answer) == comparable(msgpack.unpackb(same.answer(question) or b""))
    assert asked > 10


def comparable(answer: list[Any]) -> list[Any]:
    """Of documents only which they are: a release may be sent more or fewer of them at a time."""
    if answer[0] != UPDATES:
        return answer
    return [*answer[:2], [document[:4] for document in unpack_batch(answer[4])][:5]]


def test_a_release_reads_every_message_of_this_version(release: str) -> None:
    node = ReleasedNode(release, "first")
    known = set(session_of(release)["reads"])
    for message in PEER_MESSAGES:
        if str(message.TYPE) in known:
            node.read(wire.encode(message))


# --- the handshake, by the rules of docs/protocol.md and not by the code of this version


@pytest.mark.parametrize("is_dialling", [True, False])
def test_nodes_of_a_release_and_of_this_version_authenticate_each_other(
    release: str, is_dialling: bool
) -> None:
    session = session_of(release)
    node = ReleasedNode(release, "first")
    ours = Authentication(
        Credentials(
            "ours",
            instance_private_key(b"o" * 32),
            1,
            "this",
            formation_key(SECRET),
            endpoint_private_key(SECRET, "ours").sign,
            lambda other: endpoint_public_key(SECRET, other),
        ),
        is_dialling=is_dialling,
        alpn=session["alpn"],
        certificate=b"certificate",
        certificate_key=endpoint_public_key(SECRET, "theirs"),
        nonce=b"n" * 32,
        attempt=1,
    )
    their_instance = instance_private_key(b"t" * 32)
    their_key = their_instance.public_key().public_bytes_raw()
    their_instance_id = sha256(b"peatnode instance 1" + their_key).digest()[:16]
    their_hello = packed(0, session["wire"], "theirs", their_instance_id, b"m" * 32, 1)
    our_hello = ours.begin() if is_dialling else ours.receive(their_hello)
    assert node.read(our_hello[0])[1] == session["wire"], "the release refuses another version"
    hellos = (our_hello[0], their_hello) if is_dialling else (their_hello, our_hello[0])
    transcript = sha256(b"peatnode proof 2")
    for part in (sha256(b"certificate").digest(), session["alpn"].encode(), *hellos):
        transcript.update(len(part).to_bytes(4, "big") + part)
    roles = (b" dialling ", b" accepting ")
    our_role, their_role = roles if is_dialling else roles[::-1]
    told = (2).to_bytes(8, "big") + b"peatnode/0.1"
    signed = b"peatnode proof 2" + their_role + transcript.digest() + told
    mac = hmac.digest(formation_key(SECRET), signed, "sha256")
    by_node = endpoint_private_key(SECRET, "theirs").sign(signed)
    proof = packed(1, mac, by_node, their_key, their_instance.sign(signed), 2, "peatnode/0.1")
    said = [*(ours.receive(their_hello) if is_dialling else []), *ours.receive(proof)]
    (our_proof,) = [node.read(content) for content in said]
    assert ours.member is not None
    assert (ours.member.node_id, ours.member.software) == ("theirs", "peatnode/0.1")
    told = (1).to_bytes(8, "big") + b"this"
    signed = b"peatnode proof 2" + our_role + transcript.digest() + told
    assert our_proof[1] == hmac.digest(formation_key(SECRET), signed, "sha256")
    key = Ed25519PublicKey.from_public_bytes(endpoint_public_key(SECRET, "ours"))
    key.verify(our_proof[2], signed)
    Ed25519PublicKey.from_public_bytes(our_proof[3]).verify(our_proof[4], signed)
