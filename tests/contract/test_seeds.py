"""A random test can be repeated: its randomness comes from the seed of the run and from its own name."""

from __future__ import annotations

import random
import re

import pytest

from tests.support import seeds
from tests.support.source import ROOT

OF_ITS_OWN = re.compile(
    r"SystemRandom|(?<![\w.])random\.(random|randrange|randint|choice|shuffle|sample|randbytes|uniform)\("
    r"|(?<!\w)Random\((?!.*# fixed: \w)|PEAT_SIM_SEED|parametrize\(\"seed\""
)
"""A generator of its own, without a comment `# fixed: <reason>`."""


def test_a_seed_and_a_name_bring_the_same_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(seeds.VARIABLE, "7")
    first, again, other = (seeds.generator(name).random() for name in ("a", "a", "b"))
    assert first == again != other
    monkeypatch.setenv(seeds.VARIABLE, "8")
    assert seeds.generator("a").random() != first


def test_the_processes_of_a_run_share_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(seeds.VARIABLE)
    drawn = seeds.run_seed()
    assert seeds.run_seed() == drawn
    monkeypatch.setenv(seeds.VARIABLE, str(drawn))
    assert seeds.run_seed() == drawn


def test_the_fixture_draws_from_the_name(
    rng: random.Random, request: pytest.FixtureRequest
) -> None:
    assert rng.random() == seeds.generator(request.node.nodeid).random()


def test_no_test_has_a_seed_of_its_own() -> None:
    mine = {ROOT / "tests/support/seeds.py", ROOT / "tests/contract/test_seeds.py"}
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path not in mine
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if OF_ITS_OWN.search(line)
    ]
    assert not found, "take the fixture `rng`, or tests.support.seeds.generator"
