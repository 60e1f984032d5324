"""`glassgpt fill`: what belongs into the gaps of a text."""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.errors import UserError
from glassgpt.generate import fill as fill_gaps
from glassgpt.models import MaskedLM


def fill(
    run: Path,
    text: Source = "-",
    *,
    candidates: int = 5,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Fill the gaps of a text with a trained encoder.

    A gap is written [?]. It stands for one token, which is one character unless another tokenizer was
    chosen; [???] stands for three.

    Parameters
    ----------
    run
        Folder of a run.
    text
        The text with its gaps; `-`, or nothing, reads it from standard input.
    candidates
        How many tokens to list for each gap.
    json
        Print text and candidates as JSON.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    if candidates < 1:
        raise UserError(f"--candidates must be at least 1, got {candidates}")
    model, tokenizer = open_for("fill", run, device)
    assert isinstance(model, MaskedLM)
    filled = fill_gaps(model, tokenizer, sys.stdin.read() if text == "-" else text, n=candidates)
    if json:
        print(json_format.dumps(asdict(filled), ensure_ascii=False))
        return
    print(shown(filled.text))
    for number, gap in enumerate(filled.gaps, 1):
        listed = "  ".join(f"{shown(token)!r} {p:.1%}" for token, p in gap)
        print(f"  gap {number}:  {listed}")
