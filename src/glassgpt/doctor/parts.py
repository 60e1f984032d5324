"""Checks of the parts of a block: residual stream, norms, hidden units, activation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.probes import run_watched
from glassgpt.doctor.short_training import warm_up
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

SOME_DEAD, MANY_DEAD = 0.05, 0.25
"""Shares of hidden units that do not vary. Healthy models with ReLU have some, after large steps a tenth."""
ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
"""Activation functions by their name in a configuration."""


@torch.no_grad()
def _residual(s: Subject) -> Iterator[Problem]:
    """Fit output = a · input + b · attention + c · mlp to each block, which should be exact with 1, 1, 1."""
    model_parts = s.parts
    if not model_parts.blocks:
        raise Skip(N_("no blocks were found"))
    if not len(model_parts.attentions) == len(model_parts.mlps) == len(model_parts.blocks):
        raise Skip(N_("not every block has one attention and one MLP"))
    parts = [*model_parts.blocks, *model_parts.attentions, *model_parts.mlps]
    seen = {path: (x, y) for path, x, y in run_watched(s.model, {p.path: p.module for p in parts}, s.logits)}
    rows = zip(model_parts.blocks, model_parts.attentions, model_parts.mlps, strict=True)
    poor = 0
    problems: list[Problem] = []
    for block, attention, mlp in rows:
        x, y = seen.get(block.path, (None, None))
        a, m = (seen.get(part.path, (None, None))[1] for part in (attention, mlp))
        if x is None or y is None or a is None or m is None or not x.shape == y.shape == a.shape == m.shape:
            raise Skip(N_("the inputs and outputs of the blocks were not seen"))
        if x.any() and not y.any():
            yield from _factors({"x": 0.0}, block.path)
            return
        names = {"x": x, "attention": a, "mlp": m}
        used = {name: t.flatten().double() for name, t in names.items() if t.std() > 1e-6 * y.std()}
        basis = torch.stack(list(used.values()), 1)
        fit = torch.linalg.lstsq(basis, y.flatten().double()[:, None]).solution[:, 0]
        rest = float((basis @ fit - y.flatten().double()).norm() / y.norm())
        if rest > 1e-3:
            poor += 1
            problems.append(
                Problem(
                    "residual",
                    N_("the output is not the sum of input and branches"),
                    N_("{share:.1%} of it is something else", share=rest),
                    N_("add attention and MLP to the unchanged input"),
                    block.path,
                )
            )
            continue
        problems += _factors(dict(zip(used, fit.tolist(), strict=True)), block.path)
    if poor == len(model_parts.blocks):
        raise Skip(N_("the blocks are not input plus attention plus MLP"))
    yield from problems[:1]


def _factors(factors: dict[str, float], path: str) -> list[Problem]:
    """Compare the factors of a block with 1."""
    for name, factor in factors.items():
        if abs(factor - 1) < 0.02:
            continue
        if name == "x" and abs(factor) < 0.02:
            cause, advice = N_("the skip connection is missing"), N_("add the input to the branch's output")
        elif name == "x":
            cause, advice = N_("the skip connection is scaled"), N_("add the input unchanged")
        else:
            cause, advice = N_("a branch is scaled"), N_("add the branch's output unchanged")
        observed = N_("{name} enters with the factor {factor:.3g}", name=name, factor=factor)
        return [Problem("residual", cause, observed, advice, path, outcome="fail" if name == "x" else "warn")]
    return []


@torch.no_grad()
def _norms(s: Subject) -> Iterator[Problem]:
    """Undo gain and bias of each norm: the rest has a mean square of 1."""
    model_parts = s.parts
    if not model_parts.norms:
        raise Skip(N_("no norms were found"))
    seen = {p.path: p.module for p in model_parts.norms}
    stated = s.setting("layer_norm_epsilon", "rms_norm_eps", "layer_norm_eps", "norm_eps")
    for path, x, y in run_watched(s.model, seen, s.logits):
        module = seen[path]
        if x is None or y is None or x.shape != y.shape or isinstance(module, nn.BatchNorm1d):
            continue
        if problem := _norm_parameters(module, path) or _norm_eps(module, path, stated):
            yield problem
            return
        yield from _unit_square(x, y, module, path)


def _norm_parameters(module: nn.Module, path: str) -> Problem | None:
    """Look for a gain of zero, and a bias that is shifted in all channels."""
    gain, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(gain, Tensor) and not gain.any():
        return Problem("normalization", N_("the gain is zero"), 0.0, N_("initialize the gain with 1"), path)
    if isinstance(bias, Tensor) and len(bias) > 8:
        mean, std = float(bias.mean()), float(bias.std())
        if abs(mean) > 0.2 and abs(mean) > 2 * std:
            return Problem(
                "normalization",
                N_("the bias is shifted in all channels"),
                mean,
                N_("initialize the bias with 0"),
                path,
            )
    return None


def _norm_eps(module: nn.Module, path: str, stated: object) -> Problem | None:
    """Compare the eps of a norm with the configuration's."""
    values = (getattr(module, name, None) for name in ("eps", "variance_epsilon"))
    eps = next((value for value in values if isinstance(value, float)), None)
    is_stated = isinstance(stated, float)
    if eps is None or (eps <= 1e-3 and not (is_stated and not stated / 9 < eps < stated * 9)):
        return None
    return Problem(
        "normalization",
        N_("eps is not the stated one") if is_stated else N_("eps is large"),
        eps,
        N_("use an eps of 1e-5 or 1e-6, as the configuration states"),
        path,
    )


def _unit_square(x: Tensor, y: Tensor, module: nn.Module, path: str) -> Iterator[Problem]:
    """Undo gain and bias of a norm from input x to output y, (B, T, C): the rest has a mean square of 1."""
    gain, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    z = y.float() - bias.float() if isinstance(bias, Tensor) else y.float()
    if isinstance(gain, Tensor) and gain.shape == z.shape[-1:]:
        usable = gain.abs() > 0.05 * gain.abs().max()
        z = z[..., usable] / gain.float()[usable]
    square = z.square().mean(-1)
    loud = x.float().square().mean(-1) > 1e-3
    if loud.any() and not 0.7 < float(square[loud].median()) < 1.4:
        yield Problem(
            "normalization",
            N_("the norm does not normalize"),
            N_("mean square {value:.3g} without the gain", value=float(square[loud].median())),
            N_("divide by the root of the mean square over the width (the last dimension)"),
            path,
        )


@torch.no_grad()
def _units(s: Subject) -> Iterator[Problem]:
    """Look for dead hidden units in each MLP: the inputs of its last linear layer."""
    model_parts = s.parts
    last: dict[str, nn.Module] = {}
    for part in model_parts.mlps:
        inner = [(n, m) for n, m in part.module.named_modules() if n and hasattr(m, "weight")]
        if inner:
            last[f"{part.path}.{inner[-1][0]}"] = inner[-1][1]
    if not last:
        raise Skip(N_("no MLPs were found"))
    for path, x, _ in run_watched(s.model, last, s.logits):
        if x is None:
            continue
        units = x.flatten(0, -2).float()  # (B · T, hidden)
        if not units.any():
            continue  # its matrix is zero, which another check reports
        dead = float((units.std(0) < 1e-7).float().mean())
        if dead > SOME_DEAD:
            yield Problem(
                "mlp",
                N_("hidden units are dead"),
                N_("{share:.0%} do not vary", share=dead),
                N_("lower the learning rate, or use an activation with a gradient on both sides"),
                path,
                outcome="fail" if dead > MANY_DEAD else "warn",
            )
            return


@torch.no_grad()
def _activation(s: Subject) -> Iterator[Problem]:
    """Compare the activation function with the one that the configuration names."""
    stated = s.setting("hidden_act", "activation_function", "hidden_activation")
    expected = ACTIVATIONS.get(stated) if isinstance(stated, str) else None
    if expected is None:
        raise Skip(N_("the configuration names no known activation"))
    x = torch.linspace(-4, 4, 81)
    for part in s.parts.mlps:
        for name, module in part.module.named_modules():
            if (
                not name
                or list(module.parameters())
                or list(module.children())
                or isinstance(module, nn.Dropout)
            ):
                continue
            if (difference := float((module(x) - expected(x)).abs().max())) > 0.02:
                yield Problem(
                    "mlp",
                    N_("the activation is not the stated one"),
                    N_("it differs from {stated} by {d:.2g}", stated=stated, d=difference),
                    N_("use the activation of the configuration"),
                    f"{part.path}.{name}",
                )
                return


@torch.no_grad()
def _linear(s: Subject) -> Iterator[Problem]:
    """Double the input of each MLP: a linear one doubles its output."""
    with torch.enable_grad():
        warm_up(s)
    mlps = {part.path: part.module for part in s.parts.mlps}
    if not mlps:
        raise Skip(N_("no MLPs were found"))
    for path, x, y in run_watched(s.model, mlps, s.logits):
        if x is None or y is None or x.shape != y.shape or not y.std() > 1e-9:
            continue
        at_zero, twice = mlps[path](torch.zeros_like(x)), mlps[path](2 * x)
        if not isinstance(twice, Tensor):
            continue
        off = (twice - at_zero - 2 * (y - at_zero)).norm() / (y - at_zero).norm().clamp(min=1e-9)
        if off < 1e-4:
            yield Problem(
                "mlp",
                N_("the MLP is linear"),
                N_("twice the input gives twice the output"),
                N_("put an activation between its matrices"),
                path,
            )
            return
        if float(y.min()) >= 0:
            yield Problem(
                "mlp",
                N_("the MLP's output is never negative"),
                N_("the smallest value is {low:.2g}", low=float(y.min())),
                N_("end with a matrix, not with an activation"),
                path,
            )
            return


RESIDUAL = Check(
    N_("residual stream"),
    N_("input + attention + MLP"),
    N_("the unchanged input carries gradients to every layer"),
    _residual,
)
NORMS = Check(
    N_("norms"), N_("mean square 1 before the gain"), N_("deep networks need inputs of a known size"), _norms
)
UNITS = Check(
    N_("hidden units"), N_("units vary with the text"), N_("a unit that never varies is lost"), _units
)
ACTIVATION = Check(
    N_("activation"), N_("as the configuration states"), N_("trained weights fit one activation"), _activation
)

LINEAR = Check(
    N_("shape of the MLP"),
    N_("neither linear nor one-sided"),
    N_("a linear MLP adds nothing to the attention's matrices"),
    _linear,
)

CHECKS = (RESIDUAL, NORMS, ACTIVATION, LINEAR, UNITS)
