"""`glassgpt import`: a run from a checkpoint of nanoGPT."""

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
    """Import a nanoGPT checkpoint as a run.

    All commands work on the run except `resume`: the optimizer state is not imported. Only tensors and
    numbers of the file are read; nothing in it is executed.

    Parameters
    ----------
    checkpoint
        A ckpt.pt of nanoGPT's train.py.
    text
        Its training text, input.txt: gives the vocabulary, and its last tenth the verdict. nanoGPT's meta.pkl
        is not read.
    tokenizer
        The tokenizer.json of a BPE model, such as GPT-2's; the text is then only for the verdict.
    out
        Folder of the run; by default below runs/, named after the checkpoint's folder.
    device
        Device of the verdict: `cpu`, `cuda`, `mps` or `auto`.
    """
    from rich.console import Console  # imports torch, which --help does not need

    from glassgpt.cli.view.render import verdict_table
    from glassgpt.diagnose import Verdict
    from glassgpt.safe_io import read_json
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
