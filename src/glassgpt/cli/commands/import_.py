"""`glassgpt import`: a run from a model of transformers, or from a checkpoint of nanoGPT."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.errors import command_line
from glassgpt.language import _


def import_(
    source: str,
    *,
    text: str | None = None,
    tokenizer: Path | None = None,
    compare: Annotated[bool, Parameter(negative="--no-compare")] = True,
    out: Path | None = None,
    device: str = "auto",
) -> None:
    """Import a model of transformers, or a nanoGPT checkpoint, as a run.

    All commands work on the run except `resume`: the optimizer state is not imported. Only tensors, numbers
    and texts are read; nothing in a file is executed. If transformers is installed, it loads the same folder
    and is compared with the run. If they differ, nothing is kept.

    Parameters
    ----------
    source
        A folder with a GPT2LMHeadModel, LlamaForCausalLM or Qwen3ForCausalLM (safetensors and
        tokenizer.json); hf:owner/name to download one from the Hugging Face hub; or a ckpt.pt of nanoGPT's
        train.py.
    text
        Measure the model on the last tenth of this text, next to the baselines. For a ckpt.pt of characters
        it is the training text, input.txt, and gives the vocabulary.
    tokenizer
        For a ckpt.pt: the tokenizer.json of a BPE model, such as GPT-2's; the text is then only for the
        verdict.
    compare
        Compare the run with transformers, if it is installed.
    out
        Folder of the run; by default below runs/, named after the source.
    device
        Device of the verdict: `cpu`, `cuda`, `mps` or `auto`.
    """
    from glassgpt.checkpoint import read_state, steps
    from glassgpt.cli.flags import with_flags
    from glassgpt.cli.view.findings import findings_table
    from glassgpt.cli.view.render import verdict_table
    from glassgpt.cli.view.terminal import Terminal
    from glassgpt.diagnose import Verdict
    from glassgpt.interop import read_certificate
    from glassgpt.safe_io import read_json
    from glassgpt.train import import_pretrained
    from glassgpt.units import count

    console = Terminal()
    run = import_pretrained(
        source,
        out,
        text=text,
        tokenizer=tokenizer,
        compare=compare,
        device=device,
        stage=lambda doing: console.say(f"{_(doing)} …", "dim"),
    )
    model, n_params = run.config().model, sum(map(math.prod, run.layout().shapes.values()))
    format = read_state(steps(run.checkpoints)[0])["imported"]["format"]
    if certificate := read_certificate(run.path):
        console.table(findings_table(certificate.findings))
        console.say(_("\n{runtime} computes the same as the run.\n", runtime=certificate.runtime))
    console.say(_("tokenizer  {tokenizer}", tokenizer=run.tokenizer().describe()))
    console.say(
        _(
            "model      {format} {n_layer} × {n_embd}, {n_params} parameters, block {block_size:,}",
            format=format,
            n_layer=model.n_layer,
            n_embd=model.n_embd,
            n_params=count(n_params),
            block_size=model.block_size,
        )
    )
    console.say(_("run        {path}\n", path=run.path))
    if run.verdict_file.is_file():
        verdict = Verdict.from_dict(read_json(run.verdict_file))
        console.table(verdict_table(verdict))
        console.print(f"\n{with_flags(verdict.sentence)}\n")
    console.say(
        _(
            "Let it write  {sample}\nLook inside   {look}",
            sample=command_line("sample", run.path),
            look=command_line("look", run.path, "some text"),
        ),
        "dim",
    )
