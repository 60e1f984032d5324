"""One token after another: the streaming loop that everything that writes text stands on."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.sampling import SamplingParams, sample
from glassgpt.models import Model
from glassgpt.nn import Memory
from glassgpt.tokenizers import Tokenizer


@torch.inference_mode()
def generate(
    model: Model,
    prompt: Sequence[int],
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    seed: int | None = None,
    memory: Memory | None = None,
) -> Iterator[int]:
    """Token ids that continue the prompt, each as soon as it is drawn.

    A text longer than `block_size` slides: when the cache is full, the model reads its last half anew, so it
    always sees between a half and a whole block of the past. The same seed gives the same tokens.
    Raises UserError for an empty prompt or an id outside the vocabulary.
    """
    _check_prompt(model, prompt)
    params = params or SamplingParams()
    generator = torch.Generator()  # on the CPU, so that a seed means the same text on every device
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    ids, window, was_training = list(prompt), Window(model, memory), model.training
    model.eval()  # dropout is for training
    try:
        for _ in range(max_new_tokens):
            logits = window.next_logits(ids)  # (1, V)
            ids.append(int(sample(logits, params, generator=generator, past=ids)))
            yield ids[-1]
    finally:
        model.train(was_training)


class Window:
    """What the model sees of a growing text, computed once a token where it has a cache."""

    def __init__(self, model: Model, memory: Memory | None = None) -> None:
        self.model, self.memory = model, memory
        self.block_size = model.config.block_size
        self.cache = model.new_cache(1)
        self.seen = 0  # tokens of the text that the cache holds, or has dropped

    def next_logits(self, ids: Sequence[int]) -> Tensor:
        """Logits (1, V) of the token after `ids`, which continue those of the call before."""
        if self.cache is None:
            return self._forward(ids[-self.block_size :])
        new = len(ids) - self.seen
        if self.cache.pos + new > self.block_size:
            self.cache.reset()
            new = min(len(ids), max(1, self.block_size // 2))
        self.seen = len(ids)
        return self._forward(ids[len(ids) - new :])

    def _forward(self, ids: Sequence[int]) -> Tensor:
        tokens = torch.tensor([ids], device=self.model.device)  # (1, T)
        h = self.model.trunk(tokens, memory=self.memory, cache=self.cache)  # (1, T, C)
        return self.model.head(h[:, -1])  # (1, V): the other positions predict what is known


def _check_prompt(model: Model, prompt: Sequence[int]) -> None:
    if not prompt:
        raise UserError("the prompt is empty: give at least one token")
    if not 0 <= min(prompt) <= max(prompt) < model.n_vocab:
        raise UserError(f"the prompt has ids outside 0 … {model.n_vocab - 1}: use the run's own tokenizer")


def sample_text(
    model: Model,
    tokenizer: Tokenizer,
    prompt: str = "\n",
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 200,
    stop: Sequence[str] = (),
    seed: int | None = None,
) -> Iterator[str]:
    """Text that continues the prompt, in pieces as they come: `generate` and `stream_text` in one."""
    ids = tokenizer.encode(prompt)
    yield from stream_text(
        tokenizer, generate(model, ids, params, max_new_tokens=max_new_tokens, seed=seed), stop
    )


def stream_text(tokenizer: Tokenizer, ids: Iterable[int], stop: Sequence[str] = ()) -> Iterator[str]:
    """Pieces of text, never half a character; ends before the first of the `stop` strings.

    Text that may be the beginning of a stop string is held back until that is decided.
    """
    if "" in stop:
        raise UserError("a stop string is empty: every text contains it; give at least one character")
    held = ""
    for piece in _whole_characters(tokenizer, ids):
        held += piece
        found = min((at for s in stop if (at := held.find(s)) >= 0), default=-1)
        if found >= 0:
            yield held[:found]
            return
        keep = max((_overlap(held, s) for s in stop), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def _whole_characters(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for i in ids:
        if piece := decoder.decode(tokenizer.token_bytes([i])):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
