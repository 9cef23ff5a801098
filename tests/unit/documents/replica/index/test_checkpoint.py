from hashlib import sha256

import pytest

from peatnode.documents.replica.index.checkpoint import (
    Checkpoint,
    decode_checkpoint,
    encode_checkpoint,
)
from peatnode.documents.replica.index.counts import Counts
from peatnode.documents.replica.index.hash_tree import Leaves
from peatnode.model.tree import BUCKETS


def checkpoint_of(numbers: dict[int, int]) -> Checkpoint:
    leaves = Leaves.empty()
    for bucket, number in numbers.items():
        leaves.set(bucket, number)
    counts = Counts({"c": 3, "d": 2**33}, 2**34)
    return Checkpoint(2**40, leaves, counts)


@pytest.mark.parametrize("used", [0, 1, 2, 300, BUCKETS])
def test_a_checkpoint_comes_back(rng, used):
    buckets = rng.sample(range(BUCKETS), used)
    if used > 1:
        buckets[:2] = (0, BUCKETS - 1)
    checkpoint = checkpoint_of(
        {bucket: rng.choice((1, 1 << 64, rng.getrandbits(128))) for bucket in buckets}
    )
    data = encode_checkpoint(checkpoint)
    assert decode_checkpoint(data) == checkpoint
    assert len(data) < 100 + 18 * used


def test_each_flipped_bit_and_each_shorter_one_is_noticed(rng):
    data = encode_checkpoint(checkpoint_of({n * 9: n << 77 | 1 for n in range(5)}))
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << rng.randrange(8)
        with pytest.raises(ValueError, match="digest"):
            decode_checkpoint(bytes(bad))
        with pytest.raises(ValueError, match="digest"):
            decode_checkpoint(data[:at])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x02\x03",
        b"\x96\x02\x05\xc4\x00\xc4\x00\xc4\x00\x90",  # a version that is not known
        b"\x96\x01\x05\xc4\x02\x00\x00\xc4\x00\xc4\x00\x90",  # a bucket without a hash
        b"\x96\x01\x05\xc4\x01\x00\xc4\x00\xc4\x00\x90",  # half a bucket number
        b"\x96\x01\x05\xc4\x00\xc4\x00\xc4\x00\x91\x01",
    ],
)
def test_a_right_digest_of_something_else_is_refused(body):
    with pytest.raises(ValueError, match="it is malformed"):
        decode_checkpoint(with_digest(body))


def test_the_digest_of_these_tests_is_right():
    body = b"\x96\x01\x05\xc4\x00\xc4\x00\xc4\x00\x90"
    assert decode_checkpoint(with_digest(body)).sequence == 5


def with_digest(body: bytes) -> bytes:
    return sha256(b"peatnode checkpoint 1\0" + body).digest()[:16] + body
