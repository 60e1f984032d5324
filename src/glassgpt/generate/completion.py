"""Text completion: stream one text, or complete many prompts, with best-of-n."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from glassgpt.errors import UserError
from glassgpt.generate.engine import Engine
from glassgpt.generate.fast import Precision
from glassgpt.generate.request import Request
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.speculation import PromptLookup
from glassgpt.generate.text import TextAccumulator, stream_text
from glassgpt.models import Model
from glassgpt.nn import Memory
from glassgpt.notebook_html import continued
from glassgpt.tokenizers import Tokenizer


@dataclass(frozen=True)
class Completion:
    """A text that continues a prompt. A notebook shows both, told apart."""

    text: str
    ids: list[int]
    finish_reason: str
    """`stop`, a stop string or the end token came, or `length`, the limit was reached."""
    logprob: float
    """Natural logarithm of the probability of all its tokens under the model itself."""
    prompt: str = ""

    def __str__(self) -> str:
        return self.prompt + self.text

    def _repr_html_(self) -> str:
        return continued(self.prompt, self.text)


def generate(
    model: Model,
    prompt: Sequence[int],
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    seed: int | None = None,
    memory: Memory | None = None,
    precision: Precision = "float32",
    draft: PromptLookup | None = None,
) -> Iterator[int]:
    """Yield ids to continue a prompt, as soon as they are sampled; see `Request`.

    Raises UserError as `check_request`, at once.
    """
    engine = Engine(model, max_batch=1, precision=precision, draft=draft)
    request = Request(prompt, params or SamplingParams(), max_new_tokens, seed, memory=memory)
    return (token.id for token in engine.stream(request))


def sample_text(
    model: Model,
    tokenizer: Tokenizer,
    prompt: str | None = None,
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    stop: Sequence[str] = (),
    until: Sequence[str] = (),
    seed: int | None = None,
    ignore_end: bool = False,
    precision: Precision = "float32",
    draft: PromptLookup | None = None,
) -> Iterator[str]:
    """Yield text to continue a prompt, in pieces: `generate` and `stream_text` in one.

    Without a prompt, the text begins as the training text may: see `ModelConfig.prompt`. It ends where
    a document ends, if the model has learned that, unless `ignore_end`.
    """
    ids = generate(
        model,
        tokenizer.encode(model.config.prompt if prompt is None else prompt),
        params,
        max_new_tokens=max_new_tokens,
        seed=seed,
        precision=precision,
        draft=draft,
    )
    return stream_text(tokenizer, ids, _stops(model, stop, ignore_end), until)


def complete(
    model: Model | Engine,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    params: SamplingParams | None = None,
    *,
    n: int = 1,
    best_of: int | None = None,
    max_new_tokens: int = 200,
    stop: Sequence[str] = (),
    until: Sequence[str] = (),
    ignore_end: bool = False,
    seed: int | None = None,
) -> list[list[Completion]]:
    """Generate `n` completions of each prompt, batched.

    best_of: generate this many and keep the n with the highest log probability per token, best first.
    stop: strings that end a text before them; until: strings that end it and belong to it. ignore_end: go on
    after the end of a document.
    Sample i of a prompt has seed + i, and equals the text of `sample_text` with that seed. A prompt is
    prefilled once for all its samples. Raises UserError if best_of is below n,
    for prompts that are one text, and as `Engine.add`.
    """
    if isinstance(prompts, str):
        raise UserError("`prompts` is one text. Give a list of texts, also for one.")
    many = n if best_of is None else best_of
    if n < 1 or many < n:
        raise UserError(
            "`best_of` is {many} and `n` is {n}. Give an `n` of at least 1, and a `best_of` of at least `n`.",
            many=many,
            n=n,
        )
    if isinstance(model, Engine):
        engine = model
    else:
        engine = Engine(model, max_batch=min(16, many * len(prompts)) or 1)
    first = torch.seed() % 2**62 if seed is None else seed
    stop = _stops(engine.model, stop, ignore_end)
    texts: dict[int, TextAccumulator] = {}  # by request id
    begins: list[str] = []
    try:
        for prompt in prompts:
            ids = tokenizer.encode(prompt)
            for i in range(many):
                request = Request(ids, params or SamplingParams(), max_new_tokens, first + i, logprobs=0)
                text = TextAccumulator(tokenizer, stop, until)
                texts[engine.add(request)] = text
                begins.append(prompt)
        _run(engine, texts)
    finally:  # after an error, the caller's engine drops the rest
        for request_id in texts:
            engine.cancel(request_id)
    found = [_completion(text, prompt) for text, prompt in zip(texts.values(), begins, strict=True)]
    groups = [found[i : i + many] for i in range(0, len(found), many)]
    if best_of is None:
        return groups
    return [sorted(group, key=_per_token, reverse=True)[:n] for group in groups]


def _stops(model: Model, stop: Sequence[str], ignore_end: bool) -> Sequence[str]:
    """Return the stop strings, and the end of a document if the model has learned it."""
    end = model.config.end
    return [*stop, end] if end and not ignore_end and not isinstance(stop, str) else stop


def _run(engine: Engine, texts: Mapping[int, TextAccumulator]) -> None:
    """Step until all texts, by request id, are finished."""
    while any(text.finish_reason is None for text in texts.values()):
        engine.step()
        for request_id, text in texts.items():
            if text.finish_reason is None:
                for token in engine.fetch(request_id):
                    text.add(token)
                if text.finish_reason is not None:  # the engine itself knows no stop strings
                    engine.cancel(request_id)


def _completion(text: TextAccumulator, prompt: str) -> Completion:
    assert text.finish_reason is not None
    return Completion(text.text, text.ids, text.finish_reason, text.logprob, prompt)


def _per_token(completion: Completion) -> float:
    return completion.logprob / max(1, len(completion.ids))
