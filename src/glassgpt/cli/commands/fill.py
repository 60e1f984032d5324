"""`glassgpt fill`: tokens for the gaps of a text."""

from __future__ import annotations

from dataclasses import asdict

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import print_json, print_line, shown
from glassgpt.cli.view.terminal_input import read_text
from glassgpt.errors import UserError
from glassgpt.generate import fill as fill_gaps
from glassgpt.language import _
from glassgpt.models import MaskedLM


def fill(
    run: RunFolder,
    text: Source = "-",
    *,
    candidates: int = 5,
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Fill the gaps of a text with a trained encoder.

    Write a gap as [?]. It stands for one token: one character, with the default tokenizer. [???] is three
    tokens.

    Parameters
    ----------
    text
        The text with its gaps; without it, or with `-`, standard input.
    candidates
        Number of tokens to list for each gap.
    json
        Print the text and the candidates as JSON.
    """
    if candidates < 1:
        raise UserError("--candidates: must be at least 1, got {candidates}.", candidates=candidates)
    model, tokenizer = open_for("fill", run, device)
    assert isinstance(model, MaskedLM)
    filled = fill_gaps(model, tokenizer, read_text(text), n=candidates)
    if json:
        print_json(asdict(filled))
        return
    print_line(filled.text)
    for number, gap in enumerate(filled.masks, 1):
        listed = "  ".join(f"{shown(token)!r} {p:.1%}" for token, p in gap)
        print_line(_("  gap {number}:  {listed}", number=number, listed=listed))
