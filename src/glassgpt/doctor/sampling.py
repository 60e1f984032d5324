"""Check of generation: a generated token is one that the model, given the whole text, would choose."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.generate import Engine, Request
from glassgpt.language import N_
from glassgpt.models import Model

N_NEW = 8
GREEDY: dict[str, Any] = {"do_sample": False, "top_k": 1, "temperature": 1.0, "num_beams": 1}
"""Arguments that let the `generate` of a model choose the most likely token, where it knows them."""
TOLERANCE = 1e-2
"""Largest difference of a log probability, or of a logit from the largest one in standard deviations."""


@torch.no_grad()
def _sampling(s: Subject) -> Iterator[Problem]:
    if not s.causal or not s.predicts_tokens or s.small.source is not None:
        raise Skip(N_("the model does not continue a text"))
    T = s.tokens.shape[1]
    if T < 2 * N_NEW or (s.tokens < 0).any():
        raise Skip(N_("the batch is too short or padded"))
    prompt = s.tokens[:1, : T // 2]
    yield from _of_engine(s, prompt) if isinstance(s.model, Model) else _of_generate(s, prompt)


def _of_engine(s: Subject, prompt: Tensor) -> Iterator[Problem]:
    """Compare the log probabilities of generated tokens with those of one pass over the whole text."""
    assert isinstance(s.model, Model)
    if s.model.device.type != "cpu" and s.model.device.type != "cuda":
        raise Skip(N_("the engine needs a CPU or a GPU"))
    request = Request(prompt[0].tolist(), max_new_tokens=N_NEW, seed=1, logprobs=0)
    tokens = list(Engine(s.model, max_batch=1).stream(request))
    ids = torch.tensor([[token.id for token in tokens]], device=prompt.device)
    logits = s.logits(torch.cat([prompt, ids], 1))[:, prompt.shape[1] - 1 : -1]
    scored = logits.float().log_softmax(-1).gather(-1, ids[..., None])[0, :, 0].tolist()
    for i, (token, nats) in enumerate(zip(tokens, scored, strict=True)):
        if token.logprob is None or abs(token.logprob - nats) > TOLERANCE * max(1.0, abs(nats)):
            yield _problem(
                N_(
                    "token {i} has the log probability {a:.3f} when it is generated, and {b:.3f} in one pass",
                    i=i + 1,
                    a=float("nan") if token.logprob is None else token.logprob,
                    b=nats,
                )
            )
            return


def _of_generate(s: Subject, prompt: Tensor) -> Iterator[Problem]:
    """Let a foreign model generate greedily, and see whether each token has the largest logit."""
    method = getattr(s.model, "generate", None)
    if not callable(method):
        raise Skip(N_("the model has no `generate`"))
    text = _generated(method, prompt)
    n_prompt = prompt.shape[1]
    if text.shape[1] <= n_prompt or not torch.equal(text[:, :n_prompt], prompt):
        yield _problem(N_("it does not return the prompt with new tokens after it"))
        return
    logits = s.logits(text, s.small.rows(slice(0, 1)))[0].float()
    for t in range(n_prompt, text.shape[1]):
        row = logits[t - 1]
        behind = float((row.max() - row[text[0, t]]) / row.std().clamp(min=1e-6))
        if behind > TOLERANCE:
            yield _problem(
                N_(
                    "token {i} is not the most likely one: its logit is {d:.2g} standard deviations lower",
                    i=t - n_prompt + 1,
                    d=behind,
                )
            )
            return


def _generated(method: Callable[..., Any], prompt: Tensor) -> Tensor:
    """Call `generate(tokens, max_new_tokens, …)`, greedily. Raises Skip if it cannot be greedy."""
    names = inspect.signature(method).parameters
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in names.values())
    options: dict[str, Any]
    if takes_all and "generation_config" in names:  # transformers
        options = {"do_sample": False, "num_beams": 1, "pad_token_id": 0, "min_new_tokens": N_NEW}
        options["attention_mask"] = torch.ones_like(
            prompt
        )  # else tokens that are equal to padding are hidden
    else:
        options = {name: value for name, value in GREEDY.items() if name in names}
    if not options.keys() & {"do_sample", "top_k"}:
        raise Skip(N_("its `generate` cannot be asked for the most likely token"))
    text = method(prompt, max_new_tokens=N_NEW, **options)
    if not isinstance(text, Tensor) or text.ndim != 2:
        raise Skip(N_("its `generate` returns no tokens (B, T)"))
    return text


def _problem(observed: str) -> Problem:
    return Problem(
        "sampling",
        N_("generated tokens are not those of the model"),
        observed,
        N_("take the logits of the last position, crop the context from the left, and append each token"),
    )


SAMPLING = Check(
    N_("generation"),
    N_("sampled = scored"),
    N_("a text that is generated otherwise is not the model's"),
    _sampling,
)
CHECKS = (SAMPLING,)
