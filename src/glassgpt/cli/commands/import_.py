"""`glassgpt import`: a model that another program has trained becomes a run."""

from __future__ import annotations

import math
from pathlib import Path


def import_(
    checkpoint: Path,
    *,
    text: str | None = None,
    tokenizer: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> None:
    """Make a run of a checkpoint that nanoGPT has trained.

    The run can be sampled from, looked into and verified as any other, but not gone on with: its optimizer's
    state stays behind. Of the file only tensors and numbers are read; nothing that is in it is executed.

    Parameters
    ----------
    checkpoint
        The ckpt.pt that nanoGPT's train.py has written.
    text
        The input.txt that it learned: its characters are the vocabulary, and on its last tenth the model is
        measured beside counting. nanoGPT's meta.pkl is not read.
    tokenizer
        The tokenizer.json of a model that is not of characters, such as GPT-2's; the text, if given, is then
        for measuring only.
    out
        Folder of the run; by default below runs/, named after the checkpoint's folder.
    device
        Where to measure: `cpu`, `cuda`, `mps` or `auto`.
    """
    from rich.console import Console  # with torch: --help should not wait for it

    from glassgpt.checkpoint import read_json
    from glassgpt.cli.view.render import verdict_table
    from glassgpt.diagnose import Verdict
    from glassgpt.train import import_nanogpt
    from glassgpt.units import count

    console = Console()

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    run = import_nanogpt(
        checkpoint, out, text=text, tokenizer=tokenizer, device=device, stage=lambda doing: say(f"{doing} …")
    )
    model, n_params = run.config().model, sum(map(math.prod, run.layout().shapes.values()))
    say(f"tokenizer  {run.tokenizer().describe()}")
    say(
        f"model      nanoGPT {model.n_layer} × {model.n_embd}, {count(n_params)} parameters, "
        f"block {model.block_size}"
    )
    say(f"run        {run.path}\n")
    if run.verdict_file.is_file():
        verdict = Verdict.from_dict(read_json(run.verdict_file))
        console.print(verdict_table(verdict))
        console.print(f"\n{verdict.sentence}\n", markup=False, highlight=False)
    say(
        f'Let it write  glassgpt sample {run.path}\nLook inside   glassgpt look {run.path} "some text"', "dim"
    )
