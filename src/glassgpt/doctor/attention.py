"""Checks of the attention: scores, weights and heads, wherever a model computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.differences import moved
from glassgpt.doctor.probes import AttentionCall, FunctionProbe, module_paths, run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

MAX_SCALE_ERROR = 1.3
"""Largest factor between the observed scale and 1/√d that counts as right."""


def is_saturated(call: AttentionCall) -> bool:
    """True if most of the weights that may be large are zero."""
    allowed = call.allowed
    return bool(allowed.any()) and float((call.weights[allowed] < 1e-8).float().mean()) > 0.5


@torch.no_grad()
def attention_calls(s: Subject) -> list[AttentionCall]:
    """Return every attention of one pass. Raises Skip if none was seen."""
    probe = FunctionProbe()
    with probe, module_paths(s.model, probe):
        s.logits()
    if not probe.calls:
        raise Skip(N_("no attention was seen (no softmax or kernel of torch)"))
    return probe.calls


def _scale(s: Subject) -> Iterator[Problem]:
    seen = [(call, scale) for call in attention_calls(s) if call.width and (scale := call.scale) is not None]
    if not seen:
        raise Skip(N_("the products of queries and keys were not seen"))
    stated = s.setting("query_pre_attn_scalar", "attention_multiplier")
    for call, scale in seen:
        assert call.width is not None
        right = call.width**-0.5
        if stated is None and not right / MAX_SCALE_ERROR < scale < right * MAX_SCALE_ERROR:
            yield Problem(
                "attention scores",
                N_("scores are not divided by √d"),
                N_(
                    "scale {scale:.3g} at width {d}, 1/√d is {right:.3g}",
                    scale=scale,
                    d=call.width,
                    right=right,
                ),
                N_("multiply the scores by 1/√d"),
                call.path,
            )
            return


@torch.no_grad()
def _rows(s: Subject) -> Iterator[Problem]:
    try:
        calls = attention_calls(s)
    except Skip:
        yield from _without_softmax(s)
        return
    for call in calls:
        sums = call.weights.sum(-1)[call.allowed.any(-1)]  # of queries that may look somewhere
        if len(sums) and not (sums - 1).abs().max() <= 1e-2 and s.model.training is False:
            yield Problem(
                "attention scores",
                N_("weights do not sum to 1"),
                float(sums.nan_to_num().mean()),
                N_("take the softmax over the keys (the last dimension)"),
                call.path,
            )
            return
    yield from _returned(s)


def _without_softmax(s: Subject) -> Iterator[Problem]:
    """Give each attention equal vectors at all positions: a mean of equal values is that value."""
    parts = s.parts.attentions
    if not parts or s.data.source is not None:
        raise Skip(N_("no attention was seen (no softmax or kernel of torch)"))

    def equal(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][:, :1].expand_as(args[0]).contiguous(), *args[1:])

    handles = [part.module.register_forward_pre_hook(equal) for part in parts]
    try:
        seen = run_watched(s.model, {part.path: part.module for part in parts}, s.logits)
    finally:
        for handle in handles:
            handle.remove()
    for path, _, output in seen:
        if output is not None and output.ndim == 3 and moved(output[:, :1].expand_as(output), output, 0.1):
            yield Problem(
                "attention scores",
                N_("weights do not sum to 1"),
                N_("equal values at all positions give different sums"),
                N_("take the softmax over the keys (the last dimension)"),
                path,
            )
            return


def _returned(s: Subject) -> Iterator[Problem]:
    """Ask a model that can return its attention weights for them, and add up their rows."""
    if "output_attentions" not in signature(s.model.forward).parameters:
        return
    returned = getattr(s.model(s.tokens, output_attentions=True), "attentions", None)
    for i, weights in enumerate(returned or ()):
        if not isinstance(weights, Tensor):
            continue
        if weights.ndim != 4 or not (weights.float().sum(-1) - 1).abs().max() <= 1e-2:
            yield Problem(
                "attention",
                N_("rows of the attention weights do not add up to 1"),
                N_("layer {i} returns a tensor of shape {shape}", i=i, shape=tuple(weights.shape)),
                N_("return the weights after the softmax, (B, H, T, S)"),
            )
            return


def _mask(s: Subject) -> Iterator[Problem]:
    """Compare the mask of each attention with the causal one."""
    window, types = s.setting("window", "sliding_window"), s.setting("layer_types")
    for call in attention_calls(s):
        if (
            isinstance(types, list | tuple)
            and isinstance(window, int)
            and (found := _window(call, types, window))
        ):
            yield found
            return
        T, S = call.weights.shape[-2:]
        if T != S or T < 2 or any(word in call.path for word in ("cross", "encoder", "vision")):
            continue
        past = torch.ones(T, T, dtype=torch.bool, device=call.weights.device).tril()
        if s.causal and (found := _open_future(call, past)):
            yield found
            return
        if s.causal and not window and s.small.tokens.min() >= 0 and (found := _hidden_past(call, past)):
            yield found
            return


def _open_future(call: AttentionCall, past: Tensor) -> Problem | None:
    """Look for later keys with a weight. past: (T, T), true up to the query's own key."""
    future = (call.allowed & (call.weights > 0) & ~past).flatten(0, -3)  # (B · H, T, T)
    if not future.any():
        return None
    return Problem(
        "mask",
        _mask_cause(future, call.allowed, past),
        N_(
            "{share:.0%} of the later keys are open",
            share=float(future.sum() / (~past).sum() / len(future)),
        ),
        N_("mask every key after the query: allow j ≤ i"),
        call.path,
    )


def _hidden_past(call: AttentionCall, past: Tensor) -> Problem | None:
    """Look for earlier keys that are masked. past: (T, T), true up to the query's own key."""
    hidden = ~call.allowed & past  # (B, H, T, T)
    if not hidden.any():
        return None
    return Problem(
        "mask",
        N_("a part of the past is not seen"),
        N_("{n} pairs of a query and an earlier key are masked", n=int(hidden.any(0).any(0).sum())),
        N_("let a query look at all keys before it"),
        call.path,
    )


def _window(call: AttentionCall, types: Sequence[str], window: int) -> Problem | None:
    """Compare a layer's window with the one that the configuration states for it."""
    layer = next((int(part) for part in call.path.split(".") if part.isdigit()), None)
    T, S = call.weights.shape[-2:]
    if layer is None or layer >= len(types) or T != S or T <= window:
        return None
    at = torch.arange(T, device=call.weights.device)
    distance = at[:, None] - at  # (T, S)
    far = call.allowed[..., distance >= window].any()
    if bool(far) == ("sliding" not in types[layer]):
        return None
    return Problem(
        "mask",
        N_("a window is in the wrong layer"),
        N_("it sees tokens {n} back and further", n=window)
        if far
        else N_("it sees the last {n} tokens", n=window),
        N_("use the layer's own entry of layer_types"),
        call.path,
    )


def _mask_cause(future: Tensor, allowed: Tensor, past: Tensor) -> str:
    """Tell masks apart. future: (B · H, T, T), open later keys; allowed: (B, H, T, T)."""
    if (future != future[:1]).any():
        return N_("the mask differs between sequences or heads")
    hidden = (~allowed & past).float().sum() / (past.sum() * allowed[..., 0, 0].numel())
    own = allowed.diagonal(dim1=-2, dim2=-1).float().mean()
    if hidden > 0.9 and own < 0.5:
        return N_("the mask is inverted")
    if hidden:
        return N_("the mask hides and opens the wrong keys")
    if future[0].sum() == (~past).sum():
        return N_("the mask is not applied")
    return N_("a position sees a part of the future")


def _heads(s: Subject) -> Iterator[Problem]:
    """Compare the heads of each layer with each other, and their scores with nothing."""
    for call in attention_calls(s):
        allowed = call.allowed & (call.weights > 0)
        if call.scores.ndim != 4 or call.weights.shape[-2] < 4:
            continue
        scores = torch.where(allowed, call.scores, 0.0)
        mean = scores.sum(-1, keepdim=True) / allowed.sum(-1, keepdim=True).clamp(min=1)
        spread = torch.where(allowed, (call.scores - mean).abs(), 0.0).amax((0, 2, 3))  # (H,)
        flat = [h for h, value in enumerate(spread.tolist()) if value < 1e-6]
        if flat:
            yield Problem(
                "projections",
                N_("queries or keys are zero"),
                N_("all scores are equal in {n} of {H} heads", n=len(flat), H=len(spread)),
                N_("initialize queries and keys with random weights"),
                call.path,
            )
            return
        twins = _twins(call.weights)
        if twins:
            yield Problem(
                "projections",
                N_("heads are equal"),
                N_("{n} of {H} heads repeat another one", n=len(twins), H=call.weights.shape[1]),
                N_("give each head weights of its own"),
                call.path,
            )
            return


def _twins(weights: Tensor) -> list[tuple[int, int]]:
    """Return pairs of heads with the same weights (B, H, T, S)."""
    H = weights.shape[1]
    pairs: list[tuple[int, int]] = []
    for j in range(1, H):
        for i in range(j):
            if (weights[:, i] - weights[:, j]).abs().max() < 1e-6:
                pairs.append((i, j))
                break
    return pairs


def _saturation(s: Subject) -> Iterator[Problem]:
    calls = attention_calls(s)
    spreads = [float(call.scores[call.allowed].std()) for call in calls if call.allowed.any()]
    if max(spreads, default=0) > 20:
        worst = max(range(len(spreads)), key=spreads.__getitem__)
        yield Problem(
            "attention scores",
            N_("attention is saturated"),
            N_("scores vary by {std:.3g}", std=spreads[worst]),
            N_("divide the scores by √d, normalize queries and keys, or lower the learning rate"),
            calls[worst].path,
            outcome="warn",
        )


SCALE = Check(
    N_("scale of scores"),
    N_("q · k / √d"),
    N_("products of width d have variance d, and the softmax saturates"),
    _scale,
)
ROWS = Check(N_("sums of weights"), N_("1 in each row"), N_("a head is a weighted mean of values"), _rows)
MASK = Check(
    N_("mask"), N_("a query sees its key and all before it"), N_("no more and no less is known"), _mask
)
HEADS = Check(
    N_("heads"),
    N_("heads differ, and their scores vary"),
    N_("equal heads are one head, equal scores a mean"),
    _heads,
)
SATURATION = Check(
    N_("saturation"), N_("scores vary by less than 20"), N_("a one-hot softmax has no gradient"), _saturation
)
CHECKS = (SCALE, ROWS, MASK, HEADS, SATURATION)
