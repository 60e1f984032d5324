"""Checks of the precision: float32 throughout, or the same lower one in every part."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.probes import FunctionProbe, run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

LEAST_VALUES, FEW = 2048, 0.05
"""Numbers of a tensor from which they are counted, and the share of different ones that is too small."""
LOW = (torch.float16, torch.bfloat16)


@torch.no_grad()
def _precision(s: Subject) -> Iterator[Problem]:
    """Find outputs of lower precision than the weights."""
    if any(p.dtype != torch.float32 for p in s.model.parameters()) or torch.is_autocast_enabled("cpu"):
        raise Skip(N_("the weights are not float32 throughout"))
    modules = {path: m for path, m in s.model.named_modules() if path}
    for path, _, output in run_watched(s.model, modules, s.logits):
        if output is not None and output.dtype in LOW:
            yield Problem(
                "numerics",
                N_("computed in lower precision than the weights"),
                str(output.dtype),
                N_("compute in float32, or let autocast choose"),
                path,
            )
            return
    yield from _coarse(s)


def _coarse(s: Subject) -> Iterator[Problem]:
    """Count the different values of the stream after each block."""
    blocks = {part.path: part.module for part in s.parts.blocks}
    for path, _, output in run_watched(s.model, blocks, s.logits):
        if output is None or output.numel() < LEAST_VALUES or not output.any():
            continue
        if (n := len(output.unique())) < FEW * output.numel():
            yield Problem(
                "numerics",
                N_("values are rounded to a few"),
                N_("{n} of {of} are different", n=n, of=output.numel()),
                N_("keep the stream in float32 or bfloat16"),
                path,
            )
            return


@torch.no_grad()
def _mixed(s: Subject) -> Iterator[Problem]:
    """Compare the products of attention and MLP inside the user's loss: autocast lowers all or none."""
    if s.loss_function is None:
        raise Skip(N_("no loss was given"))
    loss = s.loss_function
    layers = {path: m for path, m in s.model.named_modules() if type(m) is nn.Linear}
    with FunctionProbe(keep=False, no_dropout=True):
        seen = run_watched(s.model, layers, lambda: loss(s.model, s.batch))
    low: dict[str, bool] = {}
    for path, _, output in seen:
        if output is not None and (category := category_of(path)) in ("attention", "mlp"):
            low[category] = low.get(category, False) or output.dtype in LOW
    if len(set(low.values())) > 1:
        category = next(each for each, is_low in low.items() if not is_low)
        yield Problem(
            category,
            N_("a part ignores autocast"),
            N_("its products are float32, those of other parts are not"),
            N_("compute every part of a block under the same autocast, without casts of its own"),
            outcome="warn",
        )


PRECISION = Check(
    N_("precision"), N_("float32 throughout"), N_("small differences are lost in float16"), _precision
)
MIXED = Check(
    N_("autocast"),
    N_("one precision for attention and MLP"),
    N_("a part in float32 takes the time of all"),
    _mixed,
)
CHECKS = (PRECISION, MIXED)
