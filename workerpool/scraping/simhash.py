"""Fingerprints of texts that differ in few bits where the texts differ in few words (Charikar, 2002)."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice

__all__ = ["distance", "features_of", "simhash"]

_MOST = 4096  # features that are counted; a lane of 16 bits has room for 65,535
_LARGEST = 2**18  # characters that are looked at
_LANES = [b"".join(bytes([byte >> bit & 1, 0]) for bit in range(8)) for byte in range(256)]
_MARKUP = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[^\W\d_]{2,}")  # numbers do not count: traps change them


def features_of(text: str) -> list[str]:
    """Return what a text is told by: three words in a row each, without markup."""
    words = _WORD.findall(_MARKUP.sub(" ", text[:_LARGEST]).lower())
    return [" ".join(words[place : place + 3]) for place in range(min(len(words) - 2, _MOST))]


def simhash(features: Iterable[str]) -> int:
    """Return 64 bits: each is the one that most of the features' hashes have there."""
    total = count = 0
    for feature in islice(features, _MOST):
        digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # One addition counts 64 bits, in lanes of 16.
        total += int.from_bytes(b"".join([_LANES[byte] for byte in digest]), "little")
        count += 1
    lanes = total.to_bytes(128, "little")
    return sum((2 * int.from_bytes(lanes[2 * bit : 2 * bit + 2], "little") > count) << bit for bit in range(64))


def distance(one: int, other: int) -> int:
    """Return in how many bits two fingerprints differ."""
    return (one ^ other).bit_count()
