import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chart_rendering import CI_VALUES, Rendered, render


@pytest.fixture(params=CI_VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The manifests of each values file in chart/ci."""
    return render("--values", str(request.param))
