"""Histories that contradict each other, because one client went on in several copies, become one on all nodes."""

from __future__ import annotations

import random

import pytest
import y_py

from peatnode.documents.content.clash import join_histories
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.sequences.causal_order import NotIntegrable
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.sequences.visible import NotReadable, VisibleList
from peatnode.documents.yjs.structs import STRING
from peatnode.documents.yjs.update import Update, encode_update
from tests.support.copied_clients import WORDS, CopiedHistory, open_doc

HISTORIES = 60


def test_two_nodes_find_the_same_and_joining_again_changes_nothing(rng: random.Random) -> None:
    clashes = 0
    for _ in range(HISTORIES):
        history = CopiedHistory(rng, 2)
        one, other = history.states
        found = [join_histories(*pair, history.sums) for pair in ((one, other), (other, one))]
        clashes += bool(found[0].differences)
        joined = found[0].joined
        assert encode_update(joined) == encode_update(found[1].joined)
        assert [d.mine_stays for d in found[0].differences] == [
            not d.mine_stays for d in found[1].differences
        ]
        assert missing_for(joined, {}) is None
        whole = state_sum(history.sums, joined)
        for state in (one, other):
            again = join_histories(joined, state, history.sums)
            assert not again.mine_loses
            assert state_sum(history.sums, again.joined) == whole
    assert clashes > HISTORIES / 3


@pytest.mark.parametrize("nodes", [2, 3, 4])
def test_nodes_become_equal_in_any_order(rng: random.Random, nodes: int) -> None:
    for _ in range(HISTORIES // nodes):
        CopiedHistory(rng, nodes).meet()


def test_what_remains_is_read_by_engines_and_without_one(rng: random.Random) -> None:
    texts = 0
    for number in range(HISTORIES):
        history = CopiedHistory(rng, 3, WORDS, nested=number % 2 == 0)
        history.meet(ordinary=0)
        data = encode_update(history.states[0])
        engine = y_py.YDoc(offset_kind="utf16")
        y_py.apply_update(engine, data)
        text = str(engine.get_text("/text"))
        assert text == str(open_doc(1, data)["/text"])
        read = _text_without_engine(history.states[0])
        if read is not None:
            texts += 1
            assert read == text
    assert texts > HISTORIES / 3


def _text_without_engine(state: Update) -> str | None:
    """None: only an engine can read it, or half of a surrogate pair was cut off."""
    lists = ItemLists()
    try:
        lists.apply(state)
        shown = VisibleList.of(lists.find(("/text", None)) or ())
    except (NotIntegrable, NotReadable):
        return None
    text = shown.text() if shown.shows_only(STRING) else "\ufffd"
    return None if "\ufffd" in text else text
