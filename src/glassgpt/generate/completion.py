"""What the engine is mostly asked for: one text as it comes, or many whole ones, some the best of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from glassgpt.errors import UserError
from glassgpt.generate.engine import Engine
from glassgpt.generate.fast import Precision
from glassgpt.generate.request import Request, Token
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.speculation import PromptLookup
from glassgpt.generate.text import TextStream, stream_text
from glassgpt.models import Model
from glassgpt.nn import Memory
from glassgpt.tokenizers import Tokenizer


@dataclass(frozen=True)
class Completion:
    """A text that continues a prompt."""

    text: str
    ids: list[int]
    finish: str
    """Why it ends: `stop`, a stop string came; `end`, the model's own end token; `length`."""
    log_p: float
    """Natural logarithm of the probability of all its tokens under the model itself."""


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
    """Token ids that continue the prompt, each as soon as it is drawn; see `Request` for what they depend on.

    Raises UserError for an empty prompt or an id outside the vocabulary.
    """
    engine = Engine(model, max_batch=1, precision=precision, draft=draft)
    request = Request(prompt, params or SamplingParams(), max_new_tokens, seed, memory=memory)
    return (token.id for token in engine.stream(request))


def sample_text(
    model: Model,
    tokenizer: Tokenizer,
    prompt: str = "\n",
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    stop: Sequence[str] = (),
    seed: int | None = None,
    precision: Precision = "float32",
    draft: PromptLookup | None = None,
) -> Iterator[str]:
    """Text that continues the prompt, in pieces as they come: `generate` and `stream_text` in one."""
    ids = generate(
        model,
        tokenizer.encode(prompt),
        params,
        max_new_tokens=max_new_tokens,
        seed=seed,
        precision=precision,
        draft=draft,
    )
    return stream_text(tokenizer, ids, stop)


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
    seed: int | None = None,
) -> list[list[Completion]]:
    """`n` completions of each prompt, all worked on together.

    best_of: write so many and keep the n with the highest log probability per token, best first. Sample i of
    a prompt has seed + i, so it is the text that `sample_text` gives for that seed. A prompt is read once,
    whatever n. Raises UserError where best_of is below n, and as `Engine.add`.
    """
    many = n if best_of is None else best_of
    if n < 1 or many < n:
        raise UserError(
            f"best_of is {many} and n is {n}: give n from 1 up, and best_of from n up, or neither"
        )
    engine = (
        model if isinstance(model, Engine) else Engine(model, max_batch=min(16, many * len(prompts)) or 1)
    )
    first = torch.seed() % 2**62 if seed is None else seed
    texts = [
        _Text(engine, tokenizer, prompt, params or SamplingParams(), max_new_tokens, stop, first + i)
        for prompt in prompts
        for i in range(many)
    ]
    while any(text.unfinished for text in texts):
        engine.step()
        for text in texts:
            text.take()
    groups = [[text.whole() for text in texts[i : i + many]] for i in range(0, len(texts), many)]
    return (
        groups if best_of is None else [sorted(group, key=_per_token, reverse=True)[:n] for group in groups]
    )


def _per_token(completion: Completion) -> float:
    return completion.log_p / max(1, len(completion.ids))


class _Text:
    """One of several texts that are being written."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prompt: str,
        params: SamplingParams,
        max_new_tokens: int,
        stop: Sequence[str],
        seed: int,
    ) -> None:
        self.engine, self.stream = engine, TextStream(tokenizer, stop)
        self.pieces: list[str] = []
        self.tokens: list[Token] = []
        self.finish: str | None = None
        request = Request(tokenizer.encode(prompt), params, max_new_tokens, seed, logprobs=0)
        self.ticket = engine.add(request)

    @property
    def unfinished(self) -> bool:
        return self.finish is None

    def take(self) -> None:
        """What the engine has written since."""
        for token in self.engine.fetch(self.ticket):
            if self.finish is None:
                self.tokens.append(token)
                self.pieces.append(self.stream.feed(token.id))
                self.finish = "stop" if self.stream.stopped else token.finish
                if self.stream.stopped:
                    self.engine.cancel(self.ticket)

    def whole(self) -> Completion:
        assert self.finish is not None
        text = "".join(self.pieces) + self.stream.close()
        log_p = sum(token.log_p or 0.0 for token in self.tokens)
        return Completion(text, [token.id for token in self.tokens], self.finish, log_p)
