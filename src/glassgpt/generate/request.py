"""Requests to the engine and the tokens it returns, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.sampling import SamplingParams, bias_tensor, check_whole, is_whole
from glassgpt.models import Model
from glassgpt.nn import Memory

DEFAULT = SamplingParams()
WITH_MEMORY = ("seq2seq", "captioner")
"""Families with cross-attention."""


@dataclass(frozen=True)
class Request:
    """A prompt to continue, with sampling parameters and limits.

    The context slides: when it is full (`block_size` tokens), its last half is prefilled again, so the model
    sees between a half and a whole context of the past. A prompt longer than the context is cut at once,
    without an error: the model sees its last `block_size` // 2 tokens only.
    """

    prompt: Sequence[int]
    params: SamplingParams = DEFAULT
    max_new_tokens: int = 200
    seed: int | None = None
    """The same seed gives the same tokens; None takes a seed from the operating system."""
    eos_id: int | None = None
    """The id of the end token, such as `<eos>`; generation stops after it."""
    logit_bias: Mapping[int, float] | None = None
    """Numbers to add to the logits of some ids; −∞ forbids one."""
    memory: Memory | None = None
    """(1, S, C) for cross-attention: an encoded source, an image."""
    logprobs: int | None = None
    """Report the log probability of each token, and of this many most likely tokens."""
    distribution: bool = False
    """Report the distribution that each token was sampled from."""


@dataclass(frozen=True)
class Token:
    """One generated token."""

    id: int
    finish_reason: str | None = None
    """On the last token: `stop`, the request's `eos_id` came, or `length`, the limit was reached."""
    logprob: float | None = None
    """Natural logarithm of its probability under the model itself, before any filter."""
    top_logprobs: tuple[tuple[int, float], ...] = ()
    """The most likely ids with their log probabilities, most likely first."""
    probabilities: Tensor | None = None
    """(V,), after all filters, on the CPU."""


class RequestError(UserError):
    """A request that cannot go on. The engine's other requests are not affected."""

    def __init__(self, request_id: int, message: str) -> None:
        super().__init__(message)
        self.request_id = request_id


def check_request(request: Request, model: Model) -> Request:
    """Return a copy of a request that nobody else can change.

    Raises UserError for a field of the wrong type or out of range, so that no request fails later and takes
    its batch with it.
    """
    n_vocab, eos_id, bias = model.n_vocab, request.eos_id, request.logit_bias
    if not isinstance(request.params, SamplingParams):
        raise UserError("`params` is {params!r}. Give `SamplingParams`.", params=request.params)
    if bias is not None:
        if not isinstance(bias, Mapping):
            raise UserError("`logit_bias` is {bias!r}. Give a mapping from ids to numbers.", bias=bias)
        bias = dict(bias)
        if bool((bias_tensor(bias, n_vocab) == -math.inf).all()):
            raise UserError("`logit_bias` is -inf for every id. Allow at least one.")
    _check_memory(request.memory, model)
    return replace(
        request,
        prompt=check_prompt(request.prompt, n_vocab),
        max_new_tokens=check_whole("max_new_tokens", request.max_new_tokens, least=1),
        seed=None if request.seed is None else check_whole("seed", request.seed),
        eos_id=None if eos_id is None else check_whole("eos_id", eos_id, least=0, most=n_vocab - 1),
        logit_bias=bias,
        logprobs=None if request.logprobs is None else check_whole("logprobs", request.logprobs, least=0),
    )


def check_prompt(prompt: Sequence[int], n_vocab: int) -> tuple[int, ...]:
    """Return the ids of a prompt. Raises UserError if it is empty or has other things than ids."""
    ids: list[Any] = prompt.tolist() if isinstance(prompt, Tensor) else list(prompt)
    if not ids:
        raise UserError("the prompt is empty. Give at least one token.")
    if wrong := [id for id in ids if not is_whole(id)]:
        raise UserError(
            "the prompt has {wrong!r} among its ids. Encode a text with the tokenizer first.", wrong=wrong[0]
        )
    if not 0 <= min(ids) <= max(ids) < n_vocab:
        raise UserError(
            "the prompt has ids outside 0 … {n_vocab}. Use the tokenizer of the model's run.",
            n_vocab=n_vocab - 1,
        )
    return tuple(map(int, ids))


def _check_memory(memory: Memory | None, model: Model) -> None:
    if (memory is not None) != (model.config.family in WITH_MEMORY):
        raise UserError(
            "the request has a `memory`, which this model cannot use. Leave it out."
            if memory is not None
            else "the request has no `memory`, which this model needs. Give `model.encode(source)`."
        )
    if memory is None:
        return
    if not isinstance(memory, Memory) or memory.states.ndim != 3 or len(memory.states) != 1:
        raise UserError("`memory` must hold one encoded source, (1, S, C). Select one with `memory.select`.")
    if memory.states.shape[-1] != model.config.n_embd:
        raise UserError(
            "`memory` has {shape} channels, the model {n_embd}. Encode the source with the same model.",
            shape=memory.states.shape[-1],
            n_embd=model.config.n_embd,
        )
    if not memory.states.isfinite().all():
        raise UserError("`memory` holds NaN or inf. Check the source and the model.")
