"""Answers to lines of standard input, one output line for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from glassgpt.cli.view.terminal import print_note
from glassgpt.cli.view.terminal_input import check_bytes, read_lines
from glassgpt.errors import UserError
from glassgpt.language import _

T = TypeVar("T")
Show = Callable[[str, T | None, str | None], None]
"""Prints the output of one line: its text, and the answer or the problem."""


def answer_lines(
    given: str, check: Callable[[str], None], answer: Callable[[list[str]], Iterator[T]], show: Show[T]
) -> None:
    """Answer a text argument, or each line of standard input for `-`, in order.

    check: raises UserError for a text that the command cannot use. Such a line is named, and the others are
    answered; the exit code is then 2. A text argument that cannot be used is an error.
    """
    lines = read_lines(given)
    problems: dict[int, str] = {}
    for line in lines:
        try:
            check_bytes(line.text)
            check(line.text)
        except UserError as problem:
            if given != "-":
                raise
            problems[line.number] = str(problem)
            print_note(_("line {number}: {problem}", number=line.number, problem=problem))
    answers = answer([line.text for line in lines if line.number not in problems])
    for line in lines:
        problem = problems.get(line.number)
        show(line.text, None if problem else next(answers), problem)
    if problems:
        sys.exit(2)
