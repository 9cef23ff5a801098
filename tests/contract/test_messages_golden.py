"""A change to what the processes say to each other shows in review: update the golden file on purpose.

`python -m tests.contract.write_golden` is not offered: copy the text that the failing test prints.
"""

from pathlib import Path

from peatnode.ipc.schema import describe_schema

GOLDEN = Path(__file__).with_name("messages.golden")


def test_the_schema_is_the_golden_one() -> None:
    assert describe_schema() == GOLDEN.read_text()
