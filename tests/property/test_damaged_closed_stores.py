"""Bits that flip, files that are cut and files that are gone in a store that was stopped in order.

Nothing is lost unreported, the store becomes equal to its peer again, and no value is wrong. `PEAT_DAMAGES` is the
number of cases; a failure names its damage.
"""

import random

import pytest

from tests.support import seeds
from tests.support.damaged_store import BATCH, BATCHES, Place, Template, Writer, run_case


@pytest.fixture(scope="module")
def templates(place: Place) -> list[Template]:
    """A store with one table, and one with tables of several levels."""
    rng = seeds.generator("damaged closed stores")
    small = Writer(place, rng)
    small.write(150)
    one_table = small.closed("one table")
    large = Writer(place, rng)
    for changes in (250, 150, 30):
        large.write(changes)
        large.database.flush()
    return [one_table, large.closed("tables")]


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_a_damaged_store_reports_its_losses_and_becomes_equal_again(
    place: Place, templates: list[Template], rng: random.Random
) -> None:
    for number in range(BATCH):
        run_case(place, rng.choice(templates), rng, 1 if number % 3 else 2)
