"""`glassgpt fill`: tokens for the gaps of a text."""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.errors import UserError
from glassgpt.generate import fill as fill_gaps
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
        raise UserError(f"--candidates: must be at least 1, got {candidates}.")
    model, tokenizer = open_for("fill", run, device)
    assert isinstance(model, MaskedLM)
    filled = fill_gaps(model, tokenizer, sys.stdin.read() if text == "-" else text, n=candidates)
    if json:
        print(json_format.dumps(asdict(filled), ensure_ascii=False))
        return
    print(shown(filled.text))
    for number, gap in enumerate(filled.masks, 1):
        listed = "  ".join(f"{shown(token)!r} {p:.1%}" for token, p in gap)
        print(f"  gap {number}:  {listed}")
