"""Checks of causality, batch independence and positions: change one token, see which logits move."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from glassgpt.data import Batch
from glassgpt.doctor.attention import attention_calls, is_saturated
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.differences import first_differing_module, max_difference, moved, other_tokens
from glassgpt.doctor.model_parts import ModelParts, category_of
from glassgpt.doctor.probes import FunctionProbe, run_watched
from glassgpt.doctor.short_training import warm_up
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

PLACES = {"attention": "mask", "residual": "mask"}
"""Categories of modules that mix positions."""


@torch.no_grad()
def _causality(s: Subject) -> Iterator[Problem]:
    """Change what follows a position, in evaluation and in training mode."""
    if not s.causal:
        raise Skip(N_("the model may see all tokens"))
    if found := list(_leaks(s)):
        yield from found
        return
    s.model.train()
    with FunctionProbe(keep=False, no_dropout=True):
        if not moved(s.logits(), s.logits(), 1e-6):  # else chance moves them
            yield from _leaks(s)


@torch.no_grad()
def _leaks(s: Subject) -> Iterator[Problem]:
    tokens = s.tokens
    T = tokens.shape[1]
    changed = other_tokens(s, tokens)
    base = s.logits(tokens)
    for t in sorted({1, T // 4, T // 2, 3 * T // 4, T - 1} - {0}):
        probe = torch.cat([tokens[:, :t], changed[:, t:]], 1)
        logits = s.logits(probe)
        if moved(base[:, :t], logits[:, :t]):
            cost = None
            culprit = first_differing_module(s, tokens, probe, lambda x, t=t: x[:, :t])
            category = PLACES.get(category_of(culprit), category_of(culprit))
            yield Problem(
                "mask" if category == "residual" else category,
                N_("a position sees the future"),
                N_(
                    "a token at {t} moves the logits before it by {d:.2g}",
                    t=t,
                    d=max_difference(base[:, :t], logits[:, :t]),
                ),
                N_("mask every key after the query: allow j ≤ i"),
                culprit,
                cost,
            )
            return


@torch.no_grad()
def _past(s: Subject) -> Iterator[Problem]:
    """Change one earlier token at a time and look at the last logits."""
    tokens = s.tokens[:1, : int((s.tokens[0] >= 0).sum())]  # padding, at the end, is no token
    T = tokens.shape[1]
    if T < 4:
        raise Skip(N_("the batch has fewer than four tokens in a row"))
    if s.setting("family") == "bigram" or not s.parts.attentions:
        raise Skip(N_("the model has no attention"))
    warm_up(s)
    row, batch = tokens[:1], s.small.rows(slice(0, 1))
    changed = other_tokens(s, row)
    probes = torch.cat([torch.where(torch.arange(T, device=row.device) == j, changed, row) for j in range(T)])
    base = s.logits(row, batch)[0, -1].float()
    if not base.std() > 1e-9:
        raise Skip(N_("the logits are all equal"))
    if batch.source is None:
        last = s.logits(probes, batch)[:, -1].float()  # (T, V)
    else:
        last = torch.stack([s.logits(probe[None], batch)[0, -1].float() for probe in probes])
    change = (last - base).abs().amax(-1) / base.std().clamp(min=1e-6)  # (T,), by the place of the change
    if change[-1] < 1e-6:
        yield Problem(
            "mask" if (change[:-1] > 1e-6).any() else "embedding",
            N_("a position does not see its own token"),
            N_("changing a token does not move its logits"),
            N_("let a query look at its own key, and check the embedding"),
        )
    window = s.setting("window", "sliding_window") or T
    blind = [T - 1 - j for j in range(T - 1) if change[j] < 1e-7 and T - 1 - j < window]
    if blind and len(blind) >= max(2, T // 8) and not any(map(is_saturated, attention_calls(s))):
        yield Problem(
            "mask" if len(blind) < T - 1 else "attention",
            N_("a part of the past is not seen"),
            N_("{n} of {total} earlier tokens do not move the last logits", n=len(blind), total=T - 1),
            N_("let a query look at all keys before it"),
        )


@torch.no_grad()
def _batch_independence(s: Subject) -> Iterator[Problem]:
    tokens = s.tokens
    if len(tokens) < 2:
        raise Skip(N_("the batch has one row only"))
    base = s.logits(tokens)
    probe = torch.cat([other_tokens(s, tokens[:1]), tokens[1:]])
    logits = s.logits(probe)
    if moved(base[1:], logits[1:]):
        culprit = first_differing_module(s, tokens, probe, lambda x: x[1:])
        yield Problem(
            "batch",
            N_("sequences of a batch see each other"),
            N_("changing one row moves others by {d:.2g}", d=max_difference(base[1:], logits[1:])),
            N_("no sum, norm or attention may run over the batch dimension"),
            culprit,
        )


@torch.no_grad()
def _positions(s: Subject) -> Iterator[Problem]:
    """Swap two earlier tokens, and look at the first block: without positions it cannot tell."""
    parts = s.parts
    if not parts.blocks or not parts.attentions:
        raise Skip(N_("no blocks with attention were found"))
    if s.setting("position") == "none":
        raise Skip(N_("the configuration asks for no positions"))
    warm_up(s)
    tokens, T = s.tokens, s.tokens.shape[1]
    row, batch = tokens[:1].clone(), s.small.rows(slice(0, 1))
    pairs = [(i, j) for i, j in ((1, T // 2), (0, T // 3), (2, T - 3)) if 0 <= i < j < T - 1]
    pairs = [(i, j) for i, j in pairs if row[0, i] != row[0, j]]
    if not pairs:
        raise Skip(N_("the tokens of the batch are too much alike"))
    first = parts.attentions[0]
    base = _output(s, first.path, row, batch)
    if base is None or base.ndim != 3 or base.shape[1] != T:
        raise Skip(N_("the output of the first attention was not seen"))
    change = 0.0
    for i, j in pairs:
        swapped = row.clone()
        swapped[0, i], swapped[0, j] = row[0, j], row[0, i]
        output = _output(s, first.path, swapped, batch)
        if output is not None:
            change = max(
                change, max_difference(base[0, -1], output[0, -1]) / max(float(base[0, -1].std()), 1e-9)
            )
    if float(base[0, -1].std()) < 1e-9:
        raise Skip(N_("the first attention writes nothing"))
    if change < 1e-5:
        yield Problem(
            "positions",
            N_("the order of tokens is not seen"),
            N_("swapping two earlier tokens changes nothing in the first attention"),
            N_("add position embeddings to the tokens, or rotate queries and keys"),
            first.path,
        )
    elif batch.source is None:
        yield from _repeating(s, first.path, row, base)
    yield from _position_table(s, parts)


def _repeating(s: Subject, path: str, row: Tensor, base: Tensor) -> Iterator[Problem]:
    """Swap the pairs of tokens at each distance: if some distances change nothing, positions repeat."""
    T = row.shape[1]
    distances = [d for d in range(1, T - 2) if row[0, T - 2 - d] != row[0, T - 2]]
    if not distances or s.setting("window", "sliding_window"):
        return
    swapped = row.repeat(len(distances), 1)
    for i, d in enumerate(distances):
        swapped[i, [T - 2 - d, T - 2]] = row[0, [T - 2, T - 2 - d]]
    output = _output(s, path, swapped, s.small.rows(slice(0, 1)))
    if output is None or output.shape[0] != len(distances):
        return
    change = (output[:, -1] - base[0, -1]).abs().amax(-1) / base[0, -1].std()
    same = [d for d, c in zip(distances, change.tolist(), strict=True) if c < 1e-5]
    if same and not any(map(is_saturated, attention_calls(s))):
        yield Problem(
            "positions",
            N_("positions repeat"),
            N_("swapping tokens {d} apart changes nothing", d=min(same)),
            N_("give each position a vector or an angle of its own"),
            path,
        )


def _output(s: Subject, path: str, tokens: Tensor, batch: Batch) -> Tensor | None:
    modules = {path: s.model.get_submodule(path)}
    kept = run_watched(s.model, modules, lambda: s.logits(tokens, batch))
    return kept[0][2] if kept else None


def _position_table(s: Subject, parts: ModelParts) -> Iterator[Problem]:
    """Check the indices and the rows of a table of learned positions."""
    T = s.tokens.shape[1]
    for part in parts.positions:
        kept = run_watched(s.model, {part.path: part.module}, s.logits)
        indices = next((given for _, given, _ in kept if given is not None), None)
        if indices is None or indices.shape[-1] != T:
            continue
        line = indices.reshape(-1, T)[0].tolist()
        if line != list(range(T)):
            repeated = len(set(line)) < T
            yield Problem(
                "positions",
                N_("positions repeat") if repeated else N_("positions are shifted"),
                ", ".join(map(str, line[:6])) + " …",
                N_("count positions from 0 in steps of 1"),
                part.path,
            )
        output = next((out for _, _, out in kept if out is not None), None)
        if output is not None:
            rows = output.reshape(-1, T, output.shape[-1])[0]
            if len(rows.unique(dim=0)) < T and rows.any():
                yield Problem(
                    "positions",
                    N_("positions repeat"),
                    N_("{n} of {T} position vectors differ", n=len(rows.unique(dim=0)), T=T),
                    N_("give each position a row of its own"),
                    part.path,
                )
            elif not rows.any():
                yield Problem(
                    "positions",
                    N_("position vectors are zero"),
                    N_("all {T} are zero", T=T),
                    N_("initialize the table of positions"),
                    part.path,
                )


@torch.no_grad()
def _padding(s: Subject) -> Iterator[Problem]:
    """Cut the end of the rows: what came before must not move."""
    if not s.causal:
        raise Skip(N_("the model may see all tokens"))
    tokens = s.tokens
    T = tokens.shape[1]
    if T < 4:
        raise Skip(N_("the batch has fewer than four tokens in a row"))
    base = s.logits(tokens)
    short = s.logits(tokens[:, : T // 2], s.small)
    if short.shape[1] == T // 2 and moved(base[:, : T // 2], short):
        yield Problem(
            "positions",
            N_("logits depend on the length of the text after them"),
            N_("cutting the end moves earlier logits by {d:.2g}", d=max_difference(base[:, : T // 2], short)),
            N_("count positions from the beginning, and mask what follows"),
        )


CAUSALITY = Check(
    N_("the future"),
    N_("no earlier logit moves"),
    N_("a model that sees the next token learns to copy it"),
    _causality,
)
PAST = Check(
    N_("the past"),
    N_("every earlier token moves the last logits"),
    N_("a token that is not seen cannot help"),
    _past,
)
BATCH = Check(
    N_("rows of a batch"),
    N_("no other row moves"),
    N_("each sequence is a text of its own"),
    _batch_independence,
)
POSITIONS = Check(
    N_("order of tokens"),
    N_("another order gives another result"),
    N_("attention by itself does not know the order"),
    _positions,
)
LENGTH = Check(
    N_("length of the text"),
    N_("earlier logits stay when the end is cut"),
    N_("a causal model has not seen the end yet"),
    _padding,
)

CHECKS = (CAUSALITY, BATCH, PAST, POSITIONS, LENGTH)
