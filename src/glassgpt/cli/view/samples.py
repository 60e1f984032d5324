"""Samples on the screen and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from glassgpt.atomic_write import replacing
from glassgpt.checkpoint import Run, learned_lines
from glassgpt.cli.view.terminal import Terminal, print_line, print_note, print_text
from glassgpt.errors import UserError, cannot_write
from glassgpt.language import _
from glassgpt.tokenizers import Tokenizer

RULE = "\n" + "-" * 20 + "\n"
"""Between two samples outside a terminal."""


def print_sample(i: int, n: int, prompt: str, pieces: Iterable[str]) -> None:
    """Print sample i of n piece by piece, after its prompt."""
    console = Terminal()
    if n > 1 and console.is_terminal:
        console.rule(_("sample {number}", number=i + 1), style="dim")
    elif i:
        print_line(RULE.removesuffix("\n"))
    if console.is_terminal:
        console.print(prompt, end="", style="bold", soft_wrap=True)
    else:
        print_text(prompt)
    for piece in pieces:
        print_text(piece)
    print_line()


def write_samples(path: Path, texts: Sequence[str], separator: str = RULE) -> None:
    """Write texts to a file in UTF-8. Raises UserError if it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(separator.join(texts) + "\n", "utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error
    print_note(_("{path}: {n} samples", path=path, n=len(texts)))


def note_known(run: Path, tokenizer: Tokenizer, lines: Sequence[str]) -> None:
    """Print how many lines are new, if the run holds its text."""
    try:
        known = learned_lines(Run.open(run), tokenizer, lines)
    except UserError:
        return
    n_known = sum(line in known for line in lines)
    print_note(
        _(
            "{n_new} of {n} lines are new, {n_known} stand in the training text",
            n_new=len(lines) - n_known,
            n=len(lines),
            n_known=n_known,
        )
    )
