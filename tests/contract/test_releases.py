"""Each format on disk and each version of the wire has a recorded release, which later versions are tested with."""

from __future__ import annotations

import pytest

from peatnode.protocol.wire.messages import ALPN, VERSION
from tests.support.releases import FIXTURES, RELEASES, contents_of, session_of
from workers.store.disk.open import FORMAT

RECORD = (
    "record it with tests/fixtures/record_release.py, as CONTRIBUTING.md says under 'A release'"
)
MOST_BYTES = 150 * 1024


def test_every_format_on_disk_is_recorded() -> None:
    recorded = {contents_of(release)["format"] for release in RELEASES}
    assert recorded == set(range(1, FORMAT + 1)), f"FORMAT is {FORMAT}: {RECORD}"


def test_every_version_of_the_wire_is_recorded() -> None:
    recorded = {session_of(release)["wire"] for release in RELEASES}
    assert recorded == set(range(1, VERSION + 1)), f"VERSION is {VERSION}: {RECORD}"


def test_each_version_of_the_wire_has_an_alpn_of_its_own() -> None:
    recorded = {session_of(release)["wire"]: session_of(release)["alpn"] for release in RELEASES}
    assert len(set(recorded.values())) == len(recorded)
    assert recorded[VERSION] == ALPN


@pytest.mark.parametrize("release", RELEASES)
def test_a_recorded_release_is_small(release: str) -> None:
    assert sum(file.stat().st_size for file in (FIXTURES / release).iterdir()) < MOST_BYTES
