"""Documents of many MiB of state reach a node that joins later, and the nodes that are there."""

from __future__ import annotations

import asyncio
import string

import pycrdt

from peatnode.ipc.link import Link
from peatnode.ipc.messages import ApplyUpdates, DocumentUpdate, Outcome
from tests.process.test_whole_nodes import all_agree, document, send
from tests.support import seeds
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

MIB = 1024 * 1024


def body(number: int) -> dict[str, object]:
    """Nearly 1 MiB that has nothing in common with that of another number."""
    chance = seeds.generator(f"large body {number}")
    return {
        "texts": ["".join(chance.choices(string.ascii_letters, k=1000)) for _ in range(500)],
        "numbers": [chance.randrange(10**9) for _ in range(20_000)],
        "long": "".join(chance.choices(string.ascii_letters, k=200_000)),
        "keys": {f"key-{number}-{i}": chance.random() for i in range(1000)},
    }


def updates_of_editor(sizes: list[int], keystrokes: int = 0) -> list[bytes]:
    """What a Yjs client sends that writes texts of such sizes, which hardly compress, and then types here and there."""
    chance = seeds.generator("large texts")
    doc: pycrdt.Doc = pycrdt.Doc(client_id=77)
    text = doc.get("pages", type=pycrdt.Text)
    states = [doc.get_state()]
    updates = []

    def take() -> None:
        updates.append(doc.get_update(states[-1]))
        states.append(doc.get_state())

    for size in sizes:
        text += "".join(chance.choices(string.printable, k=size))
        take()
    for _ in range(keystrokes):
        text.insert(chance.randrange(1000), chance.choice("abc"))
    if keystrokes:
        take()
    return updates


def apply(node: Node, name: str, updates: list[bytes]) -> None:
    async def ask() -> None:
        async with await Link.connect(node.directory / "run" / "store.sock", "test") as link:
            for update in updates:
                of_document = DocumentUpdate("large", name, 1, False, 0.0, update)
                reply = await link.ask(ApplyUpdates((of_document,), "client"), 60)
                assert reply.outcomes == (Outcome.APPLIED,), reply.reasons

    asyncio.run(ask())


def test_large_documents_reach_a_node_that_joins_later() -> None:
    with nodes(2, start=False) as (old, fresh):
        old.start()
        for number in range(8):
            send(old, "PUT", "/documents/large/replaced", body(number), 60)
        apply(old, "text", updates_of_editor([MIB] * 12))
        apply(old, "typed", updates_of_editor([4 * MIB, 3 * MIB], keystrokes=20_000))
        fresh.start()
        wait(lambda: all_agree([old, fresh]), "the fresh node to have it all", 60)
        assert document(fresh, "large/replaced") == body(7)
        apply(old, "pushed", updates_of_editor([7 * MIB, 7 * MIB]))
        wait(lambda: all_agree([old, fresh]), "both to have what was written meanwhile", 60)


def test_a_document_replaced_over_and_over_never_breaks_the_engine() -> None:
    """Each of these grows the engine so far that it is replaced after its answer, which is large."""
    with nodes(2) as running:
        for number in range(16):
            send(running[number % 4 == 3], "PUT", "/documents/large/one", body(number % 9), 60)
        wait(lambda: all_agree(running), "both to agree", 60)
        for node in running:
            assert node.get("/node")["store"]["quarantined"] == []
