"""Report of reading the user's files: invalid rows, guessed encodings, chosen columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from glassgpt.errors import UserError
from glassgpt.language import N_, clipped, join_texts

SHOWN = 3
"""Number of files or rows that a note names."""


class Report:
    """Collects notes, and invalid rows if they may be skipped.

    >>> report = Report(skip_invalid=True)
    >>> for number in range(2, 7):
    ...     report.reject(UserError(f"a.csv:{number}: no label. Fill it in."))
    >>> report.notes()
    ('5 rows skipped: a.csv:2: no label; a.csv:3: no label; a.csv:4: no label; and 2 more',)
    """

    def __init__(self, skip_invalid: bool = False) -> None:
        self.skip_invalid = skip_invalid
        self._problems: list[str] = []
        self._names: dict[str, list[str]] = {}
        self.n_skipped = 0
        self.first_problem: UserError | None = None
        """The problem of the first skipped row."""

    def reject(self, problem: UserError) -> None:
        """Raise the problem of a row, or count it if invalid rows may be skipped."""
        if not self.skip_invalid:
            raise type(problem)(
                N_("{problem} Or set `skip_invalid` to skip such rows.", problem=problem.message)
            ) from problem
        self.skip(problem)

    def skip(self, problem: UserError) -> None:
        """Count a row that is skipped in any case, such as one without a label."""
        self.n_skipped += 1
        self.first_problem = self.first_problem or problem
        if self.n_skipped <= SHOWN:
            self._problems.append(without_remedy(problem))

    def skip_empty(self, where: str) -> None:
        """Count a part of a file without text, such as a row, a page or a subtitle."""
        self.skip(UserError("{where}: no text. Fill it in, or leave it out.", where=where))

    def note(self, text: str, name: str) -> None:
        """Add a file to the note with this text."""
        self._names.setdefault(text, []).append(name)

    def absorb(self, other: Report) -> None:
        """Add everything that another report collected."""
        self._problems = [*self._problems, *other._problems][:SHOWN]
        self.n_skipped += other.n_skipped
        for text, names in other._names.items():
            self._names.setdefault(text, []).extend(names)

    def notes(self) -> tuple[str, ...]:
        """Return one line per kind of note, the skipped rows last."""
        notes = [
            N_("{text}: {names}", text=text, names=shorten(names)) for text, names in self._names.items()
        ]
        if self._problems:
            rows = N_("1 row") if self.n_skipped == 1 else N_("{n:,} rows", n=self.n_skipped)
            notes.append(
                N_("{rows} skipped: {reasons}", rows=rows, reasons=shorten(self._problems, self.n_skipped))
            )
        return tuple(notes)


def without_remedy(problem: UserError) -> str:
    """Return the text of an error without its last sentence, the remedy.

    >>> without_remedy(UserError("a.csv:2: no label. Fill it in."))
    'a.csv:2: no label'
    """
    return clipped(problem.message, _all_but_the_last_sentence)


def _all_but_the_last_sentence(text: str) -> str:
    ends = [end.start() for end in re.finditer(r"\. |。(?=.)", text)]
    return text[: ends[-1]] if ends else text


def shorten(items: Sequence[str], n: int | None = None, separator: str = "; ") -> str:
    """Join the first items and count the rest of `n` items.

    >>> shorten(["a", "b", "c", "d", "e"], separator=", ")
    'a, b, c, and 2 more'
    """
    total = len(items) if n is None else n
    rest = [N_("and {n:,} more", n=total - SHOWN)] if total > SHOWN else []
    return join_texts(separator, [*items[:SHOWN], *rest])
