"""What was deleted comes back on all nodes, from whichever of them, with all that any of them brings back."""

from __future__ import annotations

import orjson

from peatnode.documents.names import document_key
from peatnode.ipc.messages import WriteDocument, WriteKind
from tests.sim.node import Node
from tests.sim.scenes import KEY, Scene


def value_of(node: Node) -> object:
    record = node.store.replica.live(document_key(*KEY))
    return (
        None
        if record is None
        else orjson.loads(node.store.replica.value(document_key(*KEY), record))
    )


def deleted_apart(name: str) -> Scene:
    """Both nodes have a document; then each changes it alone, and the first one deletes it."""
    scene = Scene(name)
    scene.put("a", "one")
    scene.run(1.0)
    scene.part()
    scene.put("b", "of the first")
    scene.put("c", "of the second", scene.second)
    scene.first.delete(KEY)
    scene.run(1.0)
    scene.meet()
    assert value_of(scene.first) is value_of(scene.second) is None
    return scene


def test_a_document_comes_back_everywhere() -> None:
    scene = deleted_apart("one undeletes")
    scene.second.undelete(KEY)
    scene.run(2.0)
    assert value_of(scene.first) == {"a": "one", "c": "of the second"}
    scene.check()


def test_two_nodes_that_undelete_apart_bring_back_the_union() -> None:
    scene = deleted_apart("both undelete")
    scene.part()
    scene.first.undelete(KEY)
    scene.second.undelete(KEY)
    scene.run(1.0)
    scene.meet()
    everything = {"a": "one", "b": "of the first", "c": "of the second"}
    assert value_of(scene.first) == value_of(scene.second) == everything
    record = scene.first.store.replica.live(document_key(*KEY))
    assert record is not None
    assert record.incarnation == 2
    scene.check()


def test_what_is_written_after_an_undeletion_is_merged_with_another_one() -> None:
    scene = deleted_apart("undeleted, written, undeleted")
    scene.part()
    scene.first.undelete(KEY)
    scene.run(0.1)
    scene.first.store.add(WriteDocument(*KEY, WriteKind.PATCH, b'{"a":"later"}'))
    scene.second.undelete(KEY)
    scene.run(1.0)
    scene.meet()
    assert value_of(scene.second) == {"a": "later", "b": "of the first", "c": "of the second"}
    scene.check()


def test_a_second_deletion_and_undeletion() -> None:
    scene = deleted_apart("twice")
    for node in (scene.second, scene.first):
        node.undelete(KEY)
        scene.run(2.0)
        assert value_of(scene.first) == value_of(scene.second) == {"a": "one", "c": "of the second"}
        scene.second.delete(KEY)
        scene.run(2.0)
        assert value_of(scene.first) is None
    scene.check()
