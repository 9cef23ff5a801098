"""The file of expected peers is read again; a bad content is reported, and the last good one holds."""

from pathlib import Path

from peatnode.config import ExpectedPeers
from workers.sync.expected_file import EXPECTED_PROBLEM, read_again


class Node:
    def __init__(self) -> None:
        self.expected = ExpectedPeers(1)


class Problems:
    def __init__(self) -> None:
        self.raised: dict[str, str] = {}
        self.count = 0

    def raise_problem(self, name: str, message: str, advice: str) -> None:
        assert advice.endswith(".")
        self.raised[name] = message
        self.count += 1

    def clear_problem(self, name: str) -> None:
        del self.raised[name]


def test_a_changed_file_changes_what_is_expected(tmp_path: Path) -> None:
    path, node, problems = tmp_path / "peers", Node(), Problems()
    path.write_text("a,b")
    assert read_again(path, node, problems, "") == ""
    path.write_text("a,b,c")
    assert read_again(path, node, problems, "") == ""
    assert node.expected == ExpectedPeers(0, ("a", "b", "c"))
    assert not problems.raised


def test_the_last_good_content_holds_while_the_file_is_bad(tmp_path: Path) -> None:
    path, node, problems = tmp_path / "peers", Node(), Problems()
    path.write_text("a,b")
    problem = read_again(path, node, problems, "")
    path.write_text("a/b")
    for _ in range(3):
        problem = read_again(path, node, problems, problem)
    assert problems.count == 1
    assert problems.raised == {EXPECTED_PROBLEM: problem}
    assert "'a/b'" in problem
    assert node.expected == ExpectedPeers(0, ("a", "b"))
    path.unlink()
    problem = read_again(path, node, problems, problem)
    assert "No such file" in problems.raised[EXPECTED_PROBLEM]
    path.write_text("4")
    assert read_again(path, node, problems, problem) == ""
    assert not problems.raised
    assert node.expected == ExpectedPeers(4)
