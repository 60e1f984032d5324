"""Checks of the use of a model: with and without a cache, saved and loaded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.differences import moved
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.subject import Skip, Subject, find_logits
from glassgpt.language import N_
from glassgpt.models import Model

AT_ONCE = 3
"""Tokens that are read together after a prompt."""
Decoder = Callable[[Tensor], Tensor]
"""Reads the next tokens (1, n) with what it has cached, and returns their logits."""


def _new_decoder(s: Subject) -> Decoder:
    """Return a decoder with an empty cache. Raises Skip for models without one."""
    if isinstance(s.model, Model):
        model, cache = s.model, s.model.new_cache(1)
        if cache is None or s.small.source is not None:
            raise Skip(N_("the model has no cache"))
        return lambda tokens: model(tokens, cache=cache)
    if s.setting("use_cache") is None:
        raise Skip(N_("the model has no cache"))
    past: Any = None

    def decode(tokens: Tensor) -> Tensor:
        nonlocal past
        output = s.model(tokens, past_key_values=past, use_cache=True)
        past = getattr(output, "past_key_values", None)
        if past is None:
            raise Skip(N_("the model returns no cache"))
        return find_logits(output)

    return decode


def _decoded(s: Subject, tokens: Tensor, n_prompt: int) -> Tensor:
    """Read a prompt, some tokens at once, then one after another; return all logits (1, T, V)."""
    decode = _new_decoder(s)
    parts = [decode(tokens[:, :n_prompt]), decode(tokens[:, n_prompt : n_prompt + AT_ONCE])]
    parts += [decode(tokens[:, t : t + 1]) for t in range(n_prompt + AT_ONCE, tokens.shape[1])]
    return torch.cat(parts, 1)


@torch.no_grad()
def _cache(s: Subject) -> Iterator[Problem]:
    tokens = s.tokens
    T = tokens.shape[1]
    if T < 9 or (tokens < 0).any():
        raise Skip(N_("the batch is too short or padded"))
    for row in range(min(2, len(tokens))):
        one = tokens[row : row + 1]
        full = s.logits(one, s.small.rows(slice(row, row + 1)))
        try:
            cached = _decoded(s, one, T // 3)
        except (RuntimeError, IndexError, ValueError) as error:
            yield Problem(
                "cache",
                N_("decoding with the cache fails"),
                str(error).splitlines()[0][:80],
                N_("check positions, order and length of what is cached"),
                outcome="warn",
            )
            return
        wrong = [t for t in range(T) if moved(full[:, t], cached[:, t], 1e-2)]
        if not wrong:
            continue
        if row:
            cause = N_("a cache keeps states of another text")
        elif wrong[0] > T // 3 + 1:
            cause = N_("the cache loses the beginning")
        else:
            cause = N_("cached states are used wrongly")
        yield Problem(
            "cache",
            cause,
            N_("{n} of {T} positions differ, the first at {t}", n=len(wrong), T=T, t=wrong[0]),
            N_("check positions, order and length of what is cached"),
        )
        return


@torch.no_grad()
def _saved(s: Subject) -> Iterator[Problem]:
    """Save the weights, change them, and load them again."""
    base = s.logits()
    file = io.BytesIO()
    torch.save(s.model.state_dict(), file)
    for p in s.model.parameters():
        if p.is_floating_point():
            p.mul_(0.5)
    file.seek(0)
    try:
        s.model.load_state_dict(torch.load(file, weights_only=True))
    except RuntimeError as error:
        yield Problem(
            "saving",
            N_("saved weights cannot be loaded"),
            str(error).splitlines()[-1].strip()[:80],
            N_("let load_state_dict() accept what state_dict() returns"),
        )
        return
    with FunctionProbe(keep=False):
        loaded = s.logits()
    if moved(base, loaded, 1e-5):
        yield Problem(
            "saving",
            N_("a loaded model differs from the saved one"),
            N_("logits differ by {d:.2g}", d=float((base - loaded).abs().max())),
            N_("register every weight and buffer, so that state_dict() holds it"),
        )


CACHE = Check(N_("cache"), N_("cached = uncached"), N_("a cache saves time, no more"), _cache)
SAVED = Check(N_("saving"), N_("loaded = saved"), N_("what is not saved is lost"), _saved)
CHECKS = (CACHE, SAVED)
