"""`glassgpt translate`: translations of lines of text."""

from __future__ import annotations

import json as json_format
import sys

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import shown
from glassgpt.errors import UserError
from glassgpt.generate import translate as translations
from glassgpt.models import Seq2Seq


def translate(
    run: RunFolder,
    text: Source = "-",
    *,
    beams: int = 4,
    json: Json = False,
    device: Device = "cpu",
) -> None:
    """Translate with a trained seq2seq model, line by line.

    Parameters
    ----------
    text
        Text to translate; without it, or with `-`, lines from standard input.
    beams
        Width of the beam search; 1 is greedy.
    json
        Print a JSON object per line, with `source` and `target`.
    """
    if not 1 <= beams <= 64:
        raise UserError(f"--beams: must be from 1 to 64, got {beams}.")
    model, tokenizer = open_for("translate", run, device)
    assert isinstance(model, Seq2Seq)
    lines = (line.rstrip("\r\n") for line in sys.stdin) if text == "-" else iter([text])
    sources = list(lines)
    for source, target in zip(sources, translations(model, tokenizer, sources, beams=beams), strict=True):
        if json:
            print(json_format.dumps({"source": source, "target": target}, ensure_ascii=False))
        else:
            print(shown(target))
