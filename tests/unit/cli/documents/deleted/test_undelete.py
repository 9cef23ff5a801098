"""Which deleted documents `peatnode doc undelete --all` brings back, and what it says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import pytest

from peatnode.cli.documents.deleted.listing import Ago, ender_of, line_of, names_of
from peatnode.cli.documents.deleted.undelete import UndeleteChoice
from peatnode.cli.errors import CliError
from peatnode.client.models import DeletedDocument

ENDED = DeletedDocument("c", "a", 1, 100.0, 4000.0, "ab" * 16, "n2", False, 300, False)


def chosen(*found: DeletedDocument, **how: Any) -> tuple[list[tuple[str, int]], str]:
    choice = UndeleteChoice(0.0, **how)
    for each in found:
        choice.offer(each)
    return [(each.id, each.incarnation) for each in choice.chosen.values()], choice.rest


def test_the_first_end_counts_because_later_ones_may_be_junk() -> None:
    junk = replace(ENDED, incarnation=2, deleted_at=101.0)
    assert chosen(ENDED, junk) == ([("a", 1)], "")


def test_what_exists_and_what_had_expired_stays_and_is_counted() -> None:
    live, expired = replace(ENDED, id="b", is_live=True), replace(ENDED, id="e", has_expired=True)
    assert chosen(ENDED, live, expired) == ([("a", 1)], " (1 exist, 1 had expired)")
    assert chosen(expired, with_expired=True) == ([("e", 1)], "")


@pytest.mark.parametrize(
    ("by", "ids"), [("n2", ["a"]), ("ab" * 16, ["a"]), ("this node", ["o"]), ("client", ["y"])]
)
def test_only_what_one_has_deleted(by: str, ids: list[str]) -> None:
    own = replace(ENDED, id="o", origin="", origin_peer="")
    editor = replace(ENDED, id="y", origin="client:77", origin_peer="")
    found, _ = chosen(ENDED, own, editor, by=by)
    assert [id for id, _ in found] == ids


def test_who_ended_it() -> None:
    assert ender_of(ENDED) == "n2"
    assert ender_of(replace(ENDED, origin_peer="")) == "ab" * 16
    assert ender_of(replace(ENDED, has_expired=True)) == "expiry"


def test_a_line_of_the_list() -> None:
    line = line_of(replace(ENDED, origin_peer="n2", is_live=True), 400.0)
    assert line.startswith("a  incarnation 1  deleted 00:01 UTC  by n2  ")
    assert line.endswith("300 bytes  kept for 1 h  (exists now)")


def test_names_in_one_word_or_two() -> None:
    assert names_of("c/a", None) == names_of("c", "a") == ("c", "a")
    assert names_of("c", None) == ("c", None)
    with pytest.raises(CliError):
        names_of("c/a/b", None)


@pytest.mark.parametrize("text", ["", "1", "h", "1.5h", "-1h", "1w"])
def test_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Ago().convert(text, None, None)
