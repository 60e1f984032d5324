"""`glassgpt translate`: translations of lines of text."""

from __future__ import annotations

from functools import partial

from glassgpt.cli.arguments import Device, Json, RunFolder, Source
from glassgpt.cli.view.lines import answer_lines
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import print_json, print_line
from glassgpt.errors import UserError
from glassgpt.generate import check_source
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

    A line that cannot be translated is named on standard error. Its translation is empty, and the exit code
    is 2.

    Parameters
    ----------
    text
        Text to translate; without it, or with `-`, lines from standard input.
    beams
        Width of the beam search; 1 is greedy.
    json
        Print a JSON object per line, with `source` and `target`, or `source` and `problem`.
    """
    if not 1 <= beams <= 64:
        raise UserError("--beams: must be from 1 to 64, got {beams}.", beams=beams)
    model, tokenizer = open_for("translate", run, device)
    assert isinstance(model, Seq2Seq)

    def show(source: str, target: str | None, problem: str | None) -> None:
        if json:
            print_json({"source": source} | ({"target": target} if problem is None else {"problem": problem}))
        else:
            print_line(target or "")

    answer_lines(
        text,
        partial(check_source, model, tokenizer),
        lambda sources: translations(model, tokenizer, sources, beams=beams),
        show,
    )
