"""The pages and the description of the API say the limits that hold."""

from pathlib import Path

import pytest

from peatnode.api.json_schema import DOCUMENT
from peatnode.documents.limits import (
    MAX_DEPTH,
    MAX_KEY_BYTES,
    MAX_NAMES_BYTES,
    MAX_POINTER_BYTES,
    MAX_VALUES,
)

DOCS = Path(__file__).parents[3] / "docs"

PAGES = {
    "http-api.md": (DOCS / "http-api.md").read_text(encoding="utf-8"),
    "cli.md": (DOCS / "cli.md").read_text(encoding="utf-8"),
    "openapi": DOCUMENT["description"],
}


@pytest.mark.parametrize("page", PAGES)
def test_the_limits_of_documents(page: str) -> None:
    text = " ".join(PAGES[page].split())
    assert f"at most {MAX_DEPTH} deep" in text
    assert f"at most {MAX_VALUES:,} values" in text
    assert f"at most {MAX_KEY_BYTES:,} bytes" in text
    assert f"at most {MAX_POINTER_BYTES:,} bytes together" in text
    assert f"the paths to all members at most {MAX_NAMES_BYTES // 2**20} MiB" in text
