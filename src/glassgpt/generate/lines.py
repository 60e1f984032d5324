"""Single lines from a trained model, such as names or titles."""

from __future__ import annotations

import itertools

import torch

from glassgpt.generate.completion import complete
from glassgpt.generate.engine import Engine
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.seeds import derived_seed
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

MAX_BLANK = 10
"""Rounds without a new line of text, before a model that only makes blank lines is given up."""


def sample_lines(
    model: Model | Engine,
    tokenizer: Tokenizer,
    n: int,
    prompt: str = "",
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    seed: int | None = None,
) -> list[str]:
    """Generate n lines that begin with `prompt`; blank lines do not count.

    Fewer lines come from a model that makes hardly anything but blank lines. A line may come twice. The same
    seed gives the same lines, and another seed, even a neighbor, others. Raises UserError as `complete`.
    """
    engine = model if isinstance(model, Engine) else Engine(model, max_batch=16)
    seed, found, n_blank = torch.seed() % 2**62 if seed is None else seed, list[str](), 0
    rounds = itertools.count()
    while len(found) < n and n_blank < MAX_BLANK:
        options = {"max_new_tokens": max_new_tokens, "stop": ["\n"], "seed": derived_seed(seed, next(rounds))}
        [group] = complete(engine, tokenizer, ["\n" + prompt], params, n=n - len(found), **options)
        lines = [line for line in (prompt + each.text for each in group) if line.strip()]
        n_blank = 0 if lines else n_blank + 1
        found += lines
    return found
