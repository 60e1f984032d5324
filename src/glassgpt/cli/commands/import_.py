"""`glassgpt import`: a run from a checkpoint of nanoGPT."""

from __future__ import annotations

import math
from pathlib import Path

from glassgpt.errors import command_line


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
    from glassgpt.cli.view.render import verdict_table
    from glassgpt.cli.view.terminal import Terminal
    from glassgpt.diagnose import Verdict
    from glassgpt.safe_io import read_json
    from glassgpt.train import import_nanogpt
    from glassgpt.units import count

    console = Terminal()

    run = import_nanogpt(
        checkpoint,
        out,
        text=text,
        tokenizer=tokenizer,
        device=device,
        stage=lambda doing: console.say(f"{doing} …"),
    )
    model, n_params = run.config().model, sum(map(math.prod, run.layout().shapes.values()))
    console.say(f"tokenizer  {run.tokenizer().describe()}")
    console.say(
        f"model      nanoGPT {model.n_layer} × {model.n_embd}, {count(n_params)} parameters, "
        f"block {model.block_size}"
    )
    console.say(f"run        {run.path}\n")
    if run.verdict_file.is_file():
        verdict = Verdict.from_dict(read_json(run.verdict_file))
        console.table(verdict_table(verdict))
        console.print(f"\n{verdict.sentence}\n")
    console.say(
        f"Let it write  {command_line('sample', run.path)}\n"
        f"Look inside   {command_line('look', run.path, 'some text')}",
        "dim",
    )
