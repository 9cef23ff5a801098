"""Bits that flip, files that are cut and files that are gone in a store whose process was killed.

Nothing is lost unreported, the store becomes equal to its peer again, and no value is wrong. `PEAT_DAMAGES` is the
number of cases; a failure names its damage.
"""

import random

import pytest

from tests.support import seeds
from tests.support.damaged_store import BATCH, BATCHES, Place, Template, Writer, run_case


@pytest.fixture(scope="module")
def templates(place: Place) -> list[Template]:
    """Stores with a log alone, a log beside tables, and two logs, of which the first was being flushed."""
    writer = Writer(place, seeds.generator("damaged killed stores"))
    writer.write(100)
    only_log = writer.killed("only a log")
    writer.write(150)
    writer.database.flush()
    writer.write(150)
    log = writer.killed("a log")
    two_logs = writer.killed("two logs", lambda: writer.write(120))
    tables = writer.killed("tables and a log")
    writer.opened.close()
    return [only_log, log, two_logs, tables]


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_a_damaged_store_reports_its_losses_and_becomes_equal_again(
    place: Place, templates: list[Template], rng: random.Random
) -> None:
    for number in range(BATCH):
        run_case(place, rng.choice(templates), rng, 1 if number % 3 else 2)
