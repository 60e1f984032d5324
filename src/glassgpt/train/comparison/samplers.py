"""Ways of sampling compared: how well counts of the sampled text predict the held-out text.

A loss of the model does not depend on how it is sampled. So both ways write the same amount of text, n-grams
are counted on it, and these predict the held-out text of the run. Text that repeats itself lacks what the
held-out text has; text of random tokens has what it lacks: both cost.
Source: reverse perplexity, as in Zhao et al. 2018, "Adversarially Regularized Autoencoders".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from glassgpt.checkpoint import Run
from glassgpt.config import named_values
from glassgpt.diagnose import MAX_PAIRS, Comparison, NGram, compare_pairs, is_decided
from glassgpt.errors import UserError
from glassgpt.generate import Engine, SamplingParams, complete
from glassgpt.tasks import LanguageData, task_of
from glassgpt.tokenizers import CharTokenizer
from glassgpt.train.autopilot.facts import spread

NAMES = frozenset(field.name for field in fields(SamplingParams))
N_CHARS = 4_000
"""Text that each way writes in a pair."""
N_TEXTS = 8
"""Texts of a pair, written together."""
HELD_OUT_CHARS = 20_000
ORDER = 5
"""Order of the n-grams that are counted on samples."""
SPARE = 1.3
"""Tokens to write, as a multiple of what so many characters usually take."""


def sampler_in_words(words: str) -> SamplingParams | None:
    """Return a way of sampling, as in `temperature=0.7 top_k=40`; None if the words name something else.

    >>> sampler_in_words("--temperature 0.7 top_p=0.9")
    SamplingParams(temperature=0.7, top_k=None, top_p=0.9, min_p=None, repetition_penalty=1.0)
    >>> sampler_in_words("lr=0.01")
    """
    values = named_values(words)
    if not values or not values.keys() <= NAMES:
        return None
    return SamplingParams(**values)


def compare_samplers(
    a: SamplingParams,
    b: SamplingParams,
    path: Path | str,
    *,
    pairs: int = 8,
    seed: int = 0,
    on_pair: Callable[[int], object] | None = None,
) -> Comparison:
    """Let the run at `path` write text in two ways with shared seeds; say which is nearer to held-out text.

    The figures are the losses of that text, in nats per character, by n-grams counted on what was written.
    on_pair: called before each pair with its number. Ends early as a comparison of trainings. Raises
    UserError for runs of other tasks than running text.
    """
    if not 1 <= pairs <= MAX_PAIRS:
        raise UserError("`pairs`: got {pairs}. Give 1 to {most}.", pairs=pairs, most=MAX_PAIRS)
    run = Run.open(path)
    data = task_of(run.config()).data.open(run.config(), run.tokenizer(), run)
    if type(data) is not LanguageData:
        raise UserError(
            "{path}: ways of sampling are compared on running text. Name a run of the task `language`.",
            path=path,
        )
    held_out = spread(data.tokenizer.decode(data.data.val.ids), HELD_OUT_CHARS)
    engine, losses = Engine(run.model(), max_batch=N_TEXTS), list[tuple[float, float]]()
    while len(losses) < pairs and not is_decided([x - y for x, y in losses], pairs):
        if on_pair is not None:
            on_pair(len(losses) + 1)
        texts = [_write(engine, data, params, seed + N_TEXTS * len(losses)) for params in (a, b)]
        n = min(map(len, texts))
        x, y = (reverse_loss(text[:n], held_out) for text in texts)
        losses.append((x, y))
    return compare_pairs(losses, pairs)


def reverse_loss(text: str, held_out: str) -> float:
    """Return the loss of a held-out text in nats per character, by n-grams counted on another text.

    >>> held_out = "a cat sat on a mat. " * 20
    >>> reverse_loss("on a mat, a cat sat. " * 9, held_out) < reverse_loss("aaaaaaaaaaaaaaaaa" * 9, held_out)
    True
    """
    tokenizer = CharTokenizer.train([held_out])  # characters of its own in the other text are bytes
    counted, measured = tokenizer.encode_array(text), tokenizer.encode_array(held_out)
    found = NGram(counted, tokenizer.n_vocab, {ORDER}).probabilities(measured)
    return float(-np.log(found[max(found)]).sum()) / len(held_out)


def _write(engine: Engine, data: LanguageData, params: SamplingParams, seed: int) -> str:
    """Return `N_CHARS` characters of several texts, about."""
    n_tokens = math.ceil(SPARE * N_CHARS / N_TEXTS * data.tokens_per_char)
    found = complete(
        engine,
        data.tokenizer,
        [engine.model.config.prompt],
        params,
        n=N_TEXTS,
        max_new_tokens=n_tokens,
        ignore_end=True,
        seed=seed,
    )
    return "\n".join(each.text for each in found[0])[:N_CHARS]
