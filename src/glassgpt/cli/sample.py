"""`glassgpt sample`: a trained model writes, a token at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from glassgpt.cli.opening import open_for
from glassgpt.cli.render import printable
from glassgpt.errors import UserError
from glassgpt.generate import SamplingParams, sample_text


def sample(
    run: Path,
    *,
    prompt: str = "\n",
    max_new_tokens: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: Annotated[list[str] | None, Parameter(negative="")] = None,
    seed: int | None = None,
    num_samples: int = 1,
    device: str = "cpu",
) -> None:
    """Let a trained model write.

    Parameters
    ----------
    run
        Folder of a run.
    prompt
        Text to continue; any character will do, seen in training or not.
    max_new_tokens
        Length of each sample, in tokens.
    temperature
        Below 1 safer, above 1 wilder; 0 always takes the likeliest token.
    top_k
        Choose among the k likeliest tokens only.
    top_p
        Choose among the likeliest tokens that together have this probability.
    min_p
        Drop tokens less likely than this share of the likeliest.
    repetition_penalty
        Above 1 makes tokens that were already used less likely.
    stop
        End a sample before this text; may be given several times.
    seed
        The same seed gives the same text.
    num_samples
        Number of samples.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    """
    for name, value in (("max-new-tokens", max_new_tokens), ("num-samples", num_samples)):
        if value < 1:
            raise UserError(f"--{name} must be at least 1, got {value}")
    params = SamplingParams(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    model, tokenizer = open_for("sample", run, device)
    console = Console()
    for i in range(num_samples):
        if num_samples > 1 and console.is_terminal:
            console.rule(f"sample {i + 1}", style="dim")
        elif i:
            print("\n" + "-" * 20)
        console.print(
            prompt.lstrip("\n"), end="", style="bold", markup=False, highlight=False, soft_wrap=True
        )
        pieces = sample_text(
            model,
            tokenizer,
            prompt,
            params,
            max_new_tokens=max_new_tokens,
            stop=stop or (),
            seed=None if seed is None else seed + i,
        )
        for piece in pieces:
            sys.stdout.write(printable(piece) if console.is_terminal else piece)
            sys.stdout.flush()
        print()
