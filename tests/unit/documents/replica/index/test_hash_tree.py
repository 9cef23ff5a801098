from peatnode.documents.replica.index.hash_tree import HashTree
from peatnode.model.tree import BUCKETS, EMPTY_HASH, FAN_OUT, LEVELS


def test_a_tree_of_leaves_is_the_tree_that_changed_step_by_step(rng):
    changed = HashTree()
    for _ in range(300):
        changed.change(rng.choice((0, BUCKETS - 1, rng.randrange(BUCKETS))), rng.getrandbits(128))
    again = HashTree.of(changed.leaves())
    for level in range(LEVELS + 1):
        for index in range(FAN_OUT**level):
            assert again.hash(level, index) == changed.hash(level, index)
    assert again.root != EMPTY_HASH


def test_leaves_are_a_copy():
    tree = HashTree()
    tree.change(7, 1 << 100)
    leaves = tree.leaves()
    tree.change(7, 5)
    assert leaves.number(7) == 1 << 100
    assert tree.leaf(7) == 1 << 100 ^ 5
