"""Random histories for tests of documents."""

from collections.abc import Callable

import pytest

from tests.support.yjs_histories import Writers


@pytest.fixture
def history() -> Callable[..., Writers]:
    """`history(seed)`; with `flat=True` nothing but root maps, arrays and texts of plain values."""

    def make(seed: int, flat: bool = False) -> Writers:
        return Writers(seed, writers=1 + seed % 4, steps=15 + seed % 50, flat=flat)

    return make
