"""`glassgpt translate`: one text in, another out."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.errors import UserError
from glassgpt.generate import translate as translations
from glassgpt.models import Seq2Seq


def translate(
    run: Path,
    text: Source = "-",
    *,
    beams: int = 4,
    json: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
) -> None:
    """Translate with a trained seq2seq model, line by line.

    Parameters
    ----------
    run
        Folder of a run.
    text
        What to translate; `-`, or nothing, reads lines from standard input.
    beams
        How many translations are followed at once; 1 always takes the likeliest token.
    json
        Print each line as a JSON object with source and target.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    if not 1 <= beams <= 64:
        raise UserError(f"--beams must be from 1 to 64, got {beams}")
    model, tokenizer = open_for("translate", run, device)
    assert isinstance(model, Seq2Seq)
    lines = (line.rstrip("\r\n") for line in sys.stdin) if text == "-" else iter([text])
    sources = list(lines)
    for source, target in zip(sources, translations(model, tokenizer, sources, beams=beams), strict=True):
        if json:
            print(json_format.dumps({"source": source, "target": target}, ensure_ascii=False))
        else:
            print(shown(target))
