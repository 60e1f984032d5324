"""The longest matches of a text, by trying every prefix: slow, and right by inspection."""

from __future__ import annotations


def brute_force(train: str, text: str) -> list[int]:
    """Return the longest match at each character, by looking for every prefix."""
    found, stop = [], 0
    for start in range(len(text)):
        stop = max(stop, start)
        while stop < len(text) and text[start : stop + 1] in train:
            stop += 1
        found.append(stop - start)
    return found
