"""Text between two markers of a page, written by a tool."""

from __future__ import annotations


def replace_between(page: str, begin: str, end: str, text: str) -> str:
    """Replace everything between the markers `begin` and `end`, which stay.

    Raises ValueError if a marker is missing.

    >>> replace_between("a<b>old</b>c", "<b>", "</b>", "new")
    'a<b>new</b>c'
    """
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the markers are missing. Add {begin.strip()!r} and {end!r}.")
    return before + begin + text + end + after
