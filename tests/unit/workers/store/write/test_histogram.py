from peatnode.ipc.messages import Metric
from workers.store.write.histogram import Histogram


def test_buckets_are_cumulative_and_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 2.5, 9):
        histogram.add(value)
    assert list(histogram.samples("x")) == [
        Metric("x_bucket", (("le", "1"),), 2),
        Metric("x_bucket", (("le", "2.5"),), 4),
        Metric("x_bucket", (("le", "+Inf"),), 5),
        Metric("x_sum", (), 15),
        Metric("x_count", (), 5),
    ]
