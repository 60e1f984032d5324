"""`glassgpt sample`: text from a trained model, token by token."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from glassgpt.checkpoint import Run
from glassgpt.cli.arguments import Device, Draft, MinP, RunFolder, Temperature, TopK, TopP
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.render import printable
from glassgpt.data import open_tokens
from glassgpt.errors import UserError
from glassgpt.generate import Engine, Precision, PromptLookup, Request, SamplingParams, complete, stream_text

DRAFTS = ("none", "prompt", "text")


def sample(
    run: RunFolder,
    *,
    prompt: str = "\n",
    max_new_tokens: int = 500,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: float = 1.0,
    stop: Annotated[list[str] | None, Parameter(negative="")] = None,
    seed: int | None = None,
    num_samples: int = 1,
    best_of: int | None = None,
    precision: Precision = "float32",
    draft: Draft = "none",
    device: Device = "cpu",
) -> None:
    """Generate text with a trained model.

    Parameters
    ----------
    prompt
        Text to continue; may use characters unseen in training.
    max_new_tokens
        Length of each sample, in tokens.
    repetition_penalty
        Above 1 makes used tokens less probable.
    stop
        Text that ends a sample; may be given several times.
    seed
        The same seed gives the same text.
    num_samples
        Number of samples.
    best_of
        Generate this many texts and show the most probable --num-samples of them.
    precision
        Format of the weights: `float32`, or rounded for speed: `bfloat16`, `int8`.
    """
    for name, value in (("max-new-tokens", max_new_tokens), ("num-samples", num_samples)):
        if value < 1:
            raise UserError(f"--{name}: must be at least 1, got {value}.")
    params = SamplingParams(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    model, tokenizer = open_for("sample", run, device)
    engine = Engine(model, max_batch=min(16, best_of or 1), precision=precision, draft=make_draft(draft, run))
    console = Console()
    if best_of is not None:
        found = complete(
            engine,
            tokenizer,
            [prompt],
            params,
            n=num_samples,
            best_of=best_of,
            max_new_tokens=max_new_tokens,
            stop=stop or (),
            seed=seed,
        )
        for i, completion in enumerate(found[0]):
            _show(console, i, num_samples, prompt, [completion.text])
        return
    ids = tokenizer.encode(prompt)
    for i in range(num_samples):
        request = Request(ids, params, max_new_tokens, None if seed is None else seed + i)
        tokens = (token.id for token in engine.stream(request))
        _show(console, i, num_samples, prompt, stream_text(tokenizer, tokens, stop or ()))


def make_draft(name: str, run: Path) -> PromptLookup | None:
    """Return the drafter with this name. Raises UserError if DRAFTS does not have the name."""
    if name not in DRAFTS:
        raise UserError(f"--draft: must be one of {', '.join(DRAFTS)}, got {name!r}.")
    if name == "none":
        return None
    return PromptLookup(text=open_tokens(Run.open(run).data).train.ids if name == "text" else None)


def _show(console: Console, i: int, n: int, prompt: str, pieces: Iterable[str]) -> None:
    """Print sample i of n piece by piece."""
    if n > 1 and console.is_terminal:
        console.rule(f"sample {i + 1}", style="dim")
    elif i:
        print("\n" + "-" * 20)
    console.print(prompt.lstrip("\n"), end="", style="bold", markup=False, highlight=False, soft_wrap=True)
    for piece in pieces:
        sys.stdout.write(printable(piece) if console.is_terminal else piece)
        sys.stdout.flush()
    print()
