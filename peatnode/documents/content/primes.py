"""Secret primes: each node that has the key derives the same one."""

from hashlib import blake2b
from itertools import count
from math import gcd, prod

PRIME_BITS = 127

_SMALL_PRIMES = prod(n for n in range(3, 1000, 2) if all(n % m for m in range(3, n, 2)))
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)
"""A composite number that nobody chose passes all of these tests with a probability below 2**-100."""


def derive_prime(key: bytes) -> int:
    """A prime of 127 bits that only those can know who know the key, which has up to 64 bytes."""
    for number in count():
        digest = blake2b(b"prime %d" % number, key=key, digest_size=16).digest()
        candidate = int.from_bytes(digest, "big") >> 1 | 1 << (PRIME_BITS - 1) | 1
        if is_prime(candidate):
            return candidate
    raise AssertionError("there are primes among the numbers")


def is_prime(number: int) -> bool:
    """The Miller-Rabin test of an odd number above 1,000."""
    if gcd(number, _SMALL_PRIMES) != 1:
        return False
    odd, halvings = number - 1, 0
    while odd % 2 == 0:
        odd, halvings = odd // 2, halvings + 1
    return all(_is_probable(number, base, odd, halvings) for base in _BASES)


def _is_probable(number: int, base: int, odd: int, halvings: int) -> bool:
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(halvings - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
