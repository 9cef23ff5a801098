import pytest

from tests.chart.chart_rendering import CI_VALUES, Rendered, render


@pytest.fixture(params=CI_VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The manifests of each values file in chart/ci."""
    return render("--values", str(request.param))
