"""Seeds made from a seed: neighbors such as 5 and 6 share none of theirs."""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, index: int) -> int:
    """Return the first of a series of seeds, below 2⁵⁶, that belongs to a seed and an index.

    >>> first, second = derived_seed(5, 0), derived_seed(6, 0)
    >>> abs(first - second) > 1_000_000
    True
    """
    digest = hashlib.blake2b(f"{seed} {index}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")
