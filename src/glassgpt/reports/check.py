"""Check a report: write it again from its runs, and name every number that differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest
from pathlib import Path

from glassgpt.errors import UserError
from glassgpt.paths import check_file
from glassgpt.reports.page import FORMAT, report
from glassgpt.safe_io import parse_json, read_capped

MAX_BYTES = 1 << 24
"""Largest file that is read as a report; ours have less than 1 MB."""
ABOUT = re.compile(r'<meta name="glassgpt-report" content="([^"]*)">')
PIECE = re.compile(r"\d+(?:[.,]\d+)*|[^\d]+")
"""A number with its decimals, or the text between two."""
SECTION = re.compile(r'<section id="([^"]+)">')
CONTEXT = 40


@dataclass(frozen=True)
class Difference:
    """A number, or a text, of a report that its run does not give."""

    section: str
    """Address of the section, such as `r1-verdict`; empty for the head."""
    found: str
    expected: str
    context: str
    """The text around it."""


def check_report(path: Path | str, *runs: Path | str) -> list[Difference]:
    """Write a report again from its runs and return what differs: empty if every number is right.

    runs: the folders of the runs, by default those that the page names, next to the file. Raises UserError
    for a file that is no report, for a report of another format, and for runs that are not there.
    """
    path = Path(path)
    check_file(path)
    found = read_capped(path, MAX_BYTES).decode("utf-8", "replace")
    about = ABOUT.search(found)
    stored = parse_json(unescape(about[1]).encode(), path) if about else {}
    match stored:
        case {"format": int(version), "lang": str(lang), "runs": [*places]} if version == FORMAT:
            named = [(str(place["path"]), str(place["shown"])) for place in places]
        case {"format": _}:
            raise UserError("{path}: it is a report of another version. Write it again.", path=path)
        case _:
            raise UserError(
                "{path}: it is no report of GlassGPT. Give a file of `glassgpt report`.", path=path
            )
    folders = [Path(run) for run in runs] or [path.parent / place for place, _shown in named]
    if len(folders) != len(named):
        raise UserError(
            "{path}: it is about {n} runs, and {given} are given.",
            path=path,
            n=len(named),
            given=len(folders),
        )
    again = report(*folders, lang=lang, shown=[shown for _place, shown in named])
    return list(_differences(found, _with_about(again.html, found)))


def _with_about(expected: str, found: str) -> str:
    """Return the page with the places of the other one: a check may be run from another folder."""
    place = ABOUT.search(found)
    return ABOUT.sub(lambda _: place[0], expected, count=1) if place else expected


def _differences(found: str, expected: str) -> Iterator[Difference]:
    """Yield the numbers that differ, or the first text that does: what follows may be shifted."""
    at, section = 0, ""
    ours = PIECE.findall(expected)
    for piece, right in zip_longest(PIECE.findall(found), ours, fillvalue=""):
        if piece != right:
            section = _section_at(found, at)
            yield Difference(section, *_whole(found, expected, at, piece, right), _context(found, at, piece))
            if not (piece[:1].isdigit() and right[:1].isdigit()):
                return
        at += len(piece)


def _whole(found: str, expected: str, at: int, piece: str, right: str) -> tuple[str, str]:
    """Return both pieces, cut if they are texts."""
    if piece[:1].isdigit() and right[:1].isdigit():
        return piece, right
    first = next(
        (i for i, (a, b) in enumerate(zip(piece, right, strict=False)) if a != b), min(len(piece), len(right))
    )
    return _cut(piece[first:]), _cut(right[first:])


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= CONTEXT else f"{text[:CONTEXT]}…"


def _section_at(html: str, at: int) -> str:
    names = SECTION.findall(html, 0, at)
    return names[-1] if names else ""


def _context(html: str, at: int, piece: str) -> str:
    """Return the text around a place, without tags that are whole."""
    around = html[max(0, at - CONTEXT) : at] + "[" + piece[:CONTEXT] + "]" + html[at + len(piece) :][:CONTEXT]
    return " ".join(re.sub(r"<[^<>]*>", " ", around).split())
