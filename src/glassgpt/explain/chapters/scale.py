"""Chapter `scale`: scores divided by √d, over head sizes and in a trained model.

Variance, saturation of the softmax, and its gradient, with and without the division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.heads import FAMILIES, AttentionLayer, attention_stack, record_layers
from glassgpt.explain.influence import held_out
from glassgpt.explain.predictions import entropy
from glassgpt.explain.score_samples import NotesSample, notes_sample, typical_scores
from glassgpt.models import Model, build

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Scaling by √d: keeping the softmax soft"

SIZES = (8, 16, 32, 64, 128, 256)
NOTES = 16
"""The head size of the notes."""
EXAMPLE = 64
"""The head size of the softmax row in the plot."""
N, S = 512, 16
"""Number of queries, and of keys for each."""
SIGMAS = 4
LENGTH = 64
SATURATED, SOFT, VANISHED = 0.85, 0.35, 0.1
"""Bounds with a margin, for S = 16 normal scores. With a standard deviation of 16 the largest lies
0.48 · 16 above the second on average (order statistics), which leaves the rest about ln 2 / 7.7 = 0.09 of
the weight; with 1 the largest weight is about 0.25, four times that of a uniform row. Half the
rows then keep less than a hundredth of a gradient p (1 − p)."""


@dataclass(frozen=True)
class Softmax:
    """Statistics of a softmax over scores (N, S), and of its gradient."""

    variance: float
    """Variance of the scores."""
    largest: float
    """Mean over rows of the largest weight."""
    entropy: float
    """Mean over rows, in nats."""
    gradient: float
    """Median norm of a row's gradient at the scores, for a gradient of N(0, 1) at each weight."""
    mean_gradient: float


def softmax_of(scores: Tensor, upstream: Tensor) -> Softmax:
    """Measure a softmax. scores and upstream (the gradient at the weights): (N, S)."""
    z = scores.detach().requires_grad_()
    p = z.softmax(-1)
    (gradient,) = torch.autograd.grad((p * upstream).sum(), z)
    lengths = gradient.norm(dim=-1)
    p = p.detach()
    return Softmax(
        scores.var().item(), p.amax(-1).mean().item(), entropy(p).mean().item(),
        lengths.median().item(), lengths.mean().item(),
    )  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Measurements for one head size: plain scores, and scores divided by √d."""

    d: int
    plain: Softmax
    scaled: Softmax
    products: Tensor
    """(N · d,): products of components of q and k."""

    @property
    def deviation(self) -> float:
        """Difference of the variance from d, in standard errors."""
        return abs(self.plain.variance - self.d) / variance_error(self.d)


def variance_error(d: int) -> float:
    """Return the standard error of the variance of N · S scores; S share a query.

    For a given query, its scores are N(0, |q|²). The variance of the mean of their squares has two parts:
    that of |q|², 2d over N, and that of squares of a normal number, 2 E|q|⁴ = 2 (d² + 2d), over N · S.
    """
    return math.sqrt(2 * d / N + 2 * (d * d + 2 * d) / (N * S))


def measure(d: int, generator: torch.Generator) -> Size:
    """Measure scores of random queries and keys, N(0, 1), of size d."""
    q = torch.randn(N, 1, d, generator=generator)
    k = torch.randn(N, S, d, generator=generator)
    upstream = torch.randn(N, S, generator=generator)
    scores = (q @ k.mT)[:, 0]  # (N, 1, d) @ (N, d, S) -> (N, S)
    products = (q[:, 0] * k[:, 0]).flatten()
    return Size(d, softmax_of(scores, upstream), softmax_of(scores * d**-0.5, upstream), products)


@dataclass(frozen=True)
class Real:
    """Statistics of one layer's attention on held-out text: means over heads."""

    q: float
    """E[q²]."""
    k: float
    variance: float
    """Variance of q · k over allowed pairs."""
    largest: float
    """Mean largest weight of queries that see at least half of the text."""
    ratio: float
    """Largest |q · k| relative to the bound of QK-norm; NaN without it."""


def real(layer: AttentionLayer, bound: float) -> Real:
    """Measure one layer. bound: the limit of |q · k|, or NaN."""
    raw, allowed = layer.q @ layer.k.mT, layer.allowed  # (H, T, T)
    sees = allowed.sum(-1) * 2 >= allowed.sum(-1).max()  # (H, T)
    return Real(
        layer.q.pow(2).mean().item(),
        layer.k.pow(2).mean().item(),
        torch.stack([head[may].var(correction=0) for head, may in zip(raw, allowed, strict=True)])
        .mean()
        .item(),
        layer.weights.amax(-1)[sees].mean().item(),
        raw.abs().max().item() / bound,
    )  # fmt: skip


def bound_of(model: Model, layer: int) -> float:
    """Return the bound of |q · k| by QK-norm: d · max |gain of q| · max |gain of k|.

    NaN without QK-norm. The norm scales a vector to the length √d, gains multiply it, and RoPE only rotates
    it.
    """
    if not model.config.qk_norm:
        return math.nan
    gains = [model.get_parameter(f"blocks.{layer}.attn.{name}.weight") for name in ("q_norm", "k_norm")]
    return model.config.head_dim * math.prod(gain.detach().abs().max().item() for gain in gains)


def all_layers(model: Model, tokens: Tensor) -> list[Real]:
    """Measure each layer of a model on a text (1, T)."""
    return [real(layer, bound_of(model, at)) for at, layer in enumerate(record_layers(model, tokens))]


def fresh(demo: Demo, seed: int) -> Model:
    """Return the stack of blocks with random weights."""
    torch.manual_seed(seed)
    return attention_stack(build(demo.model.config, demo.model.n_vocab).eval())


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    sizes = [measure(d, generator) for d in SIZES]
    notes, last = sizes[SIZES.index(NOTES)], sizes[-1]
    demo = context.demo(*FAMILIES)
    tokens = held_out(demo, 1, LENGTH, generator)
    sample = notes_sample(NOTES, context.generator())
    trained = all_layers(attention_stack(demo.model), tokens)
    before = all_layers(fresh(demo, context.seed), tokens)
    body = (
        _(
            "Let all components of q and k be independent, with mean 0 and variance 1. The mean of one "
            "product is E[q_i k_i] = E[q_i] E[k_i] = 0 · 0 = 0, since q_i and k_i are independent. So its "
            "variance is the mean of its square, Var(q_i k_i) = E[q_i² k_i²] = E[q_i²] E[k_i²] = 1 · 1 = 1, "
            "by independence again. q · k is a sum of d such products, and the variances of independent "
            "terms add: Var(q · k) = d. Division by √d divides a variance by d, which leaves 1. For d = {d}, "
            "the variance was {variance:.1f} just now, and {scaled:.2f} after division by √{d} = {root:.0f}."
        ).format(d=NOTES, variance=notes.plain.variance, scaled=notes.scaled.variance, root=math.sqrt(NOTES)),
        sample.text(_),
        _table(_("q · k as it is"), [size.plain for size in sizes], _),
        _table(_("q · k / √d"), [size.scaled for size in sizes], _),
        _(
            "Each of {N} queries has {S} keys. As the scores spread, the softmax saturates: the largest "
            "weight approaches 1, and the entropy falls from ln {S} = {most:.2f} towards 0. With scaling, "
            "neither depends on d."
        ).format(N=N, S=S, most=math.log(S)),
        _(
            "Learning suffers. The derivative of weight i with respect to score j is p_i (δ_ij − p_j), "
            "nearly 0 if p is nearly one-hot. At d = {d}, the median length of the gradient is {plain:.4f} "
            "without scaling and {scaled:.3f} with it. (The mean, {mean:.3f}, falls only about as 1/√d: a "
            "few queries with two nearly equal best keys get most of the gradient.)"
        ).format(
            d=last.d, plain=last.plain.gradient, scaled=last.scaled.gradient, mean=last.plain.mean_gradient
        ),
        *_of_model(demo, trained, before, _),
    )  # fmt: skip
    findings = _findings(sizes, sample, trained, before, _)
    example = typical_scores(EXAMPLE, S, generator)
    return Chapter("scale", _(TITLE), body, findings, lambda: _draw(_, sizes, example), _)


def _table(title: str, measured: list[Softmax], _: Translate) -> Grid:
    columns = (_("variance"), _("largest weight"), _("entropy"), _("gradient, median"), _("mean"))
    values = [(one.variance, one.largest, one.entropy, one.gradient, one.mean_gradient) for one in measured]
    return Grid(title, [f"d = {d}" for d in SIZES], columns, values, decimals=3, shade=False)


def _of_model(demo: Demo, trained: list[Real], before: list[Real], _: Translate) -> list[str | Grid]:
    """Return text and table about the scores of a model, before and after training."""
    config = demo.model.config
    d, last = config.head_dim, trained[-1]
    independent = d * last.q * last.k
    if config.qk_norm:
        kind = _(
            "This model has QK-norm: it normalizes queries and keys to a mean square of 1 and multiplies "
            "them by trained gains. So the model with random weights is close to the theory."
        )
    else:
        kind = _(
            "This model has no QK-norm: the initialization sets the size of queries and keys, and nothing "
            "bounds them later."
        )
    said = _(
        "Does a real model behave like this? The next table shows {name}, head size {d}, on held-out text, "
        "with random and with trained weights."
    ).format(name=demo.name, d=d)
    names = [_("layer {i}").format(i=i) for i in range(len(trained))]
    fresh_names = [_("layer {i}, random weights").format(i=i) for i in range(len(trained))]
    grid = Grid(
        _("scores of {name}").format(name=demo.name),
        [name for pair in zip(fresh_names, names, strict=True) for name in pair],
        ("E[q²]", "E[k²]", _("variance"), _("after / √d"), _("largest weight")),
        [
            (one.q, one.k, one.variance, one.variance / d, one.largest)
            for pair in zip(before, trained, strict=True)
            for one in pair
        ],
        shade=False,
    )
    conclusion = _(
        "After training the theory need not hold. In the last layer, independent components of mean 0 would "
        "give a variance of d E[q²] E[k²] = {independent:.3g}. Measured are {variance:.3g}, and "
        "{scaled:.3g} after the division. Training fits queries and keys to each other, and sharpens "
        "attention if that lowers the loss. The division by √d matters at the start of training: every key "
        "gets a gradient."
    ).format(independent=independent, variance=last.variance, scaled=last.variance / d)
    return [said, kind, grid, conclusion]


def _findings(
    sizes: list[Size], sample: NotesSample, trained: list[Real], before: list[Real], _: Translate
) -> tuple[Finding, ...]:
    notes, last = sizes[SIZES.index(NOTES)], sizes[-1]
    products, error = last.products, SIGMAS * variance_error(NOTES)
    farthest = max(size.deviation for size in sizes)
    softest = max(size.scaled.largest for size in sizes)
    share = last.plain.gradient / last.scaled.gradient
    one = SIGMAS * math.sqrt(8 / len(products))  # E[x⁴] E[y⁴] − 1 = 8: the variance of (xy)²
    found = [
        Finding.near(_("Var(qk) of one component"), products.var().item(), 1.0, one),
        Finding.near(_("variance of q · k, d = {d}").format(d=NOTES), notes.plain.variance, NOTES, error),
        Finding.near(
            _("variance of q · k / √d, d = {d}").format(d=NOTES), notes.scaled.variance, 1.0, error / NOTES
        ),
        Finding.at_most(_("variance of q · k: most standard errors from d"), farthest, SIGMAS),
        sample.finding(_),
        Finding.at_least(
            _("largest weight, unscaled, d = {d}").format(d=last.d), last.plain.largest, SATURATED
        ),
        Finding.at_most(_("largest weight, scaled, any d"), softest, SOFT),
        Finding.at_most(_("median gradient, unscaled / scaled, d = {d}").format(d=last.d), share, VANISHED),
    ]
    if not math.isnan(trained[0].ratio):
        far = max((one.q for one in before), key=lambda q: abs(q - 1))
        found += [
            Finding.near(_("random weights: mean q² under QK-norm"), far, 1.0, 1e-3),
            Finding.at_most(
                _("trained model: |q · k| / what its gains allow"), max(one.ratio for one in trained), 1.0
            ),
        ]
    return tuple(found)


def _draw(_: Translate, sizes: list[Size], example: Tensor) -> Plot:
    """Draw variance, largest weight and gradient over the head size, and one softmax row."""
    from glassgpt.explain.pictures.scale import draw

    both = [[s.plain for s in sizes], [s.scaled for s in sizes]]
    curves = {
        _("variance of the scores"): [[one.variance for one in each] for each in both],
        _("largest weight of {S} keys").format(S=S): [[one.largest for one in each] for each in both],
        _("gradient at the scores, median"): [[one.gradient for one in each] for each in both],
    }
    return draw(_, SIZES, curves, example, EXAMPLE)
