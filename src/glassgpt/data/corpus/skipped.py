"""Skipped files, said by kind: one line, however many they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from glassgpt.data.files import suffix_of, without_remedy
from glassgpt.errors import UserError
from glassgpt.language import N_, clipped, join_texts

SHOWN = 5
"""Number of kinds that the note names."""


def skipped_files(skipped: Sequence[tuple[str, UserError]], each: bool = False) -> list[str]:
    """Return the note for skipped files, given by name and problem; none without files.

    Files with the same ending and the same problem are one kind; the most frequent kind comes first. each: a
    note for each file instead.

    >>> binary = [(f"d/{i}.dat", UserError(f"d/{i}.dat: this is binary. Export it.")) for i in range(49)]
    >>> skipped_files([("d/a.json", UserError("d/a.json:3: this is not JSON. Repair it.")), *binary])
    ['50 files skipped: 49 .dat: this is binary; d/a.json:3: this is not JSON']
    """
    if each:
        return [N_("skipped: {problem}", problem=problem.message) for _, problem in skipped]
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, problem in skipped:
        text = without_remedy(problem)
        kinds[suffix_of(name), clipped(text, partial(_without_place, name))].append(text)
    ordered = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    groups = [_group(suffix, problem, texts) for (suffix, problem), texts in ordered[:SHOWN]]
    if rest := sum(len(texts) for _, texts in ordered[SHOWN:]):
        groups.append(N_("and {rest:,} more", rest=rest))
    files = N_("1 file") if len(skipped) == 1 else N_("{n:,} files", n=len(skipped))
    return (
        [N_("{files} skipped: {reasons}", files=files, reasons=join_texts("; ", groups))] if skipped else []
    )


def _group(suffix: str, problem: str, texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return N_(
        "{n:,} {kind}: {problem}", n=len(texts), kind=suffix or N_("without an ending"), problem=problem
    )


def _without_place(name: str, text: str) -> str:
    """Return a problem without the name of its file and the line or entry."""
    return re.sub(rf"^{re.escape(name)}(:\d+|, entry \d+)?(: |：)", "", text)
