"""The held-out part of a text: its end, parts of its documents, or lines of a list.

The end of a single text is held out. Of several documents or rows the last ones would say nothing about the
others, so each large one is held out in part and of the small ones some are held out whole. A list of lines,
such as names, is shuffled first, since neighbors in a sorted list are alike. Equal documents, rows and lines
share a split.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from glassgpt.data.corpus.lists import is_list
from glassgpt.data.corpus.spool import Segment, Spool
from glassgpt.data.corpus.text import Stretch, Text
from glassgpt.language import N_, join_texts
from glassgpt.tokenizers import END_OF_DOCUMENT
from glassgpt.units import count

SplitKind = Literal["end", "documents", "lines"]
MAX_LIST_BYTES = 1 << 26
"""Limit of a list of lines, which is shuffled in RAM."""
LARGE = 0.25
"""A document longer than this share of the held-out text is held out in part, others whole or not at all."""
MIN_MARKED, MAX_MARKED_CHARS = 20, 10_000
"""Documents get marks at their ends if there are so many, of so many characters on average: with few marks, a
model cannot learn where a document ends."""
REACH = 2_000
"""Characters to look through for the start of a line."""
SEED = 1337


@dataclass(frozen=True)
class Division:
    """The two parts of a text, and how it was divided."""

    kind: SplitKind
    train: Text
    val: Text
    note: str = ""
    end: str = ""
    """Mark at the end of each document; "" without one."""


def divide(spool: Spool, kind: SplitKind | Literal["auto"], fraction: float, marks: bool = False) -> Division:
    """Hold out a fraction of the text. Nothing can be added to the spool afterwards.

    kind: "auto" chooses by the text: "lines" for a list, "documents" for several of them, else "end". marks:
    mark the ends of many documents.
    """
    division = None
    if kind == "lines" or (kind == "auto" and _may_be_list(spool)):
        text = spool.whole().read()
        if kind == "lines" or is_list(text):
            division = _by_lines(spool, text, fraction)
    elif kind == "documents" or (kind == "auto" and spool.n_parts > 1):
        division = _by_documents(spool, fraction)
        if division and marks and _is_short(spool) and spool.mark_ends():
            division = replace(division, note=_marked(division.note), end=END_OF_DOCUMENT)
    return division or Division("end", *spool.split(int(spool.n_chars * (1 - fraction))))


def _is_short(spool: Spool) -> bool:
    """True for many documents that are short on average."""
    return spool.n_parts >= MIN_MARKED and spool.n_chars <= MAX_MARKED_CHARS * spool.n_parts


def _marked(note: str) -> str:
    return N_("{note}; a mark ends each of them, and samples stop there", note=note)


def _may_be_list(spool: Spool) -> bool:
    whole = spool.whole()
    start = next(whole.chunks(1 << 16), "")
    return spool.n_parts == 1 and whole.n_bytes <= MAX_LIST_BYTES and is_list(start.rpartition("\n")[0])


def _by_lines(spool: Spool, text: str, fraction: float) -> Division | None:
    """Shuffle the lines and hold out some; None if all are equal."""
    lines = list(filter(str.strip, text.split("\n")))
    n_val, held_out = fraction * sum(map(len, lines)), set[str]()
    for line in sorted(set(lines), key=_digest):
        if (n_val := n_val - len(line)) < 0 and held_out:
            break
        held_out.add(line)
    random.Random(SEED).shuffle(lines)
    train = [line for line in lines if line not in held_out]
    val = [line for line in lines if line in held_out]
    if not train:
        return None
    spool.rewrite(f"{line}\n" for line in (*train, *val))
    note = N_(
        "a list of {n_lines:,} lines: shuffled, {n_held:,} lines are held out",
        n_lines=len(lines),
        n_held=len(val),
    )
    return Division("lines", *spool.split(sum(len(line) + 1 for line in train)), note)


def _digest(line: str) -> bytes:
    return hashlib.sha256(line.encode("utf-8", "replace")).digest()


def _by_documents(spool: Spool, fraction: float) -> Division | None:
    """Hold out parts of the documents; None if too many of them are equal."""
    parts = list(spool.parts())
    limit = LARGE * fraction * spool.n_chars
    whole = _held_out([part for part in parts if part.stretch.n_chars <= limit], fraction)
    train, val, n_cut = list[Stretch](), list[Stretch](), 0
    for part in parts:
        if part.stretch.n_chars > limit:
            start, end = _cut(spool, part, fraction)
            train.append(start)
            val.append(end)
            n_cut += 1
        else:
            (val if part.stretch.start in whole else train).append(part.stretch)
    if sum(stretch.n_chars for stretch in val) < limit:
        return None
    note = N_("held out: {parts}", parts=join_texts(" and ", _words(n_cut, len(whole), len(parts))))
    return Division("documents", spool.text(train), spool.text(val), note)


def _held_out(parts: list[Segment], fraction: float) -> set[int]:
    """Choose parts by the hash of their text. Returns their offsets in bytes."""
    left = fraction * sum(part.stretch.n_chars for part in parts)
    chosen = set[int]()
    for _, equal in groupby(sorted(parts, key=lambda part: part.digest), key=lambda part: part.digest):
        group = list(equal)
        n_chars = sum(part.stretch.n_chars for part in group)
        if n_chars / 2 <= left:
            left -= n_chars
            chosen |= {part.stretch.start for part in group}
    return chosen


def _cut(spool: Spool, part: Segment, fraction: float) -> tuple[Stretch, Stretch]:
    """Cut a document before its last fraction, at the start of a line if one is near."""
    start, stop, n_chars = part.stretch
    at, middle = spool.line_start(
        part.first_char + int(n_chars * (1 - fraction)), int(n_chars * fraction / 2)
    )
    n_first = at - part.first_char
    return Stretch(start, middle, n_first), Stretch(middle, stop, n_chars - n_first)


def _words(n_cut: int, n_whole: int, n_parts: int) -> Iterator[str]:
    if n_cut:
        yield N_("the end of 1 document") if n_cut == 1 else N_("the end of {n_cut} documents", n_cut=n_cut)
    if n_whole or not n_cut:
        yield N_(
            "{n_whole} of {n_all} documents or rows", n_whole=count(n_whole), n_all=count(n_parts - n_cut)
        )
