"""Chapter `temperature`: logits divided by T, and the effect on the entropy.

The chapter `sampling` draws from the probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.predictions import LABEL, TEXTS, Places, entropy, sample_predictions
from glassgpt.generate import temperature
from glassgpt.lens import token_labels, visible_label

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Temperature: the same logits, bolder or more careful"

LOGITS = (0.1, 0.7, 0.2)
TEMPERATURES = (1.5, 1.0, 0.5)
"""As in the notes."""
OF_MODEL = (0.5, 0.8, 1.0, 1.5, 2.0)
COLD, HOT = 0.01, 100.0
CURVE = torch.linspace(0.4, 2.0, 17, dtype=torch.float64)
"""Temperatures of the curves of a model."""
SHOWN = 6
ROUNDING = 1e-6
"""Tolerance of probabilities in float32: ε times a few operations."""
STEP = 1e-3
SLOPE_ERROR = 1e-5
"""Error of a slope over ± STEP: STEP² / 6 times a third derivative of order 1."""


def heated(logits: Tensor, t: float) -> Tensor:
    """Compute the probabilities at a temperature: logits (..., V) -> (..., V)."""
    return temperature(logits, t).softmax(-1)


def by_hand(logits: Sequence[float], t: float) -> list[float]:
    """Compute the probabilities from the definition, in Python floats."""
    powers = [math.exp(z / t) for z in logits]
    return [power / sum(powers) for power in powers]


def slope(logits: Tensor, t: float) -> float:
    """Measure dH/dT over a small step. logits: (V,), float64."""
    above, below = (entropy(heated(logits, t + step)) for step in (STEP, -STEP))
    return ((above - below) / (2 * STEP)).item()


def slope_expected(logits: Tensor, t: float) -> float:
    """Compute dH/dT as the variance of the logits under p, divided by T³. logits: (V,), float64.

    H = ln Σ exp(z/T) − E[z] / T, so dH/dT = −(dE[z]/dT) / T, and dE[z]/dT = −Var(z) / T².
    """
    p = heated(logits, t)
    mean = (p * logits).sum()
    return ((p * (logits - mean) ** 2).sum() / t**3).item()


def never_colder(logits: Tensor, temperatures: Sequence[float]) -> int:
    """Count the rows of logits (n, V) with an entropy that never falls as T rises."""
    found = torch.stack([entropy(heated(logits, t)) for t in sorted(temperatures)])  # (N, n)
    return int((found.diff(dim=0) >= -1e-9).all(0).sum())


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    z = torch.tensor(LOGITS)
    demo = context.demo("gpt", "bigram")
    places = sample_predictions(demo, context.generator())
    losses = places.losses(CURVE)
    body = (
        _(
            "The temperature T divides all logits before the softmax. The next table shows the logits {z} "
            "of the notes at three temperatures, with the entropy H = −Σ p ln p of the distribution. e^H is "
            "the number of equally probable tokens with the same entropy."
        ).format(z="[" + ", ".join(map(str, LOGITS)) + "]"),
        _table(z, _),
        _(
            "T = 1 is the plain softmax. Above 1 the differences between logits shrink: the distribution "
            "gets flatter, towards an entropy of ln {n} = {most:.2f} nats. Below 1 they grow: it gets "
            "sharper, towards the largest logit alone. The ratio of two probabilities is exp((z₁ − z₂) / "
            "T), so the ratio at T = 0.5 is the square of the ratio at T = 1. The order never changes: the "
            "most probable token stays the most probable."
        ).format(n=len(LOGITS), most=math.log(len(LOGITS))),
        _(
            "The entropy always rises with T, at the rate Var(z) / T³, with the variance of the logits "
            "weighted by p. Here, at T = 1, it is {slope:.4f} nats for each unit of T."
        ).format(slope=slope(z.double(), 1.0)),
        _(
            "Now a trained model. Of {n} held-out texts, {name} was least certain after this one (the end "
            "is shown): “{text}”. The next table shows the most probable next tokens at each temperature:"
        ).format(n=TEXTS, name=demo.name, text=visible_label(places.text)),
        _of_next(demo, places, _),
        _(
            "Means over all {n} positions of these texts, with the loss of the actual next token:"
        ).format(n=len(places.logits)),
        _over_all(places, _),
        _(
            "At T = 1 the model expects a loss equal to its entropy, {own:.3f} nats; the actual loss is "
            "{loss:.3f}. Between {low:g} and {high:g}, the loss is lowest at T = {best:.1f}. Training "
            "lowers the loss at T = 1. If the best T is above 1, the model is overconfident on unseen text; "
            "if it is below 1, the model is underconfident. For generated text, T is a matter of taste: a "
            "low T repeats the obvious, a high T takes risks."
        ).format(
            low=CURVE[0].item(), high=CURVE[-1].item(), best=CURVE[losses.argmin()].item(),
            own=entropy(heated(places.logits, 1.0)).mean().item(), loss=places.losses(torch.ones(1)).item(),
        ),
    )  # fmt: skip
    return Chapter(
        "temperature", _(TITLE), body, _findings(z, places, _), lambda: _draw(_, demo, places, losses), _
    )


def _table(z: Tensor, _: Translate) -> Grid:
    rows = [heated(z, t) for t in TEMPERATURES]
    values = [[*p.tolist(), entropy(p).item(), entropy(p).exp().item()] for p in rows]
    names = [f"T = {t:g}" for t in TEMPERATURES]
    columns = (*(f"p({id})" for id in range(len(z))), _("entropy"), "e^H")
    return Grid(_("the notes' logits"), names, columns, values, decimals=4)


def _most_probable(places: Places) -> Tensor:
    return places.next.topk(min(SHOWN, len(places.next))).indices


def _of_next(demo: Demo, places: Places, _: Translate) -> Grid:
    """Return the next tokens of the least certain text at several temperatures."""
    ids = _most_probable(places)
    rows = [heated(places.next, t) for t in OF_MODEL]
    labels = token_labels(demo.tokenizer, ids.tolist())
    values = [[*p[ids].tolist(), 1 - p[ids].sum().item(), entropy(p).item()] for p in rows]
    names = [f"T = {t:g}" for t in OF_MODEL]
    return Grid(_("next token"), names, [*labels, _("others"), _("entropy")], values, decimals=3)


def _over_all(places: Places, _: Translate) -> Grid:
    """Return means over all positions at several temperatures."""
    losses = places.losses(torch.tensor(OF_MODEL, dtype=torch.float64))
    values = []
    for t, loss in zip(OF_MODEL, losses.tolist(), strict=True):
        p = heated(places.logits, t)
        values.append([p.amax(-1).mean().item(), entropy(p).mean().item(), loss])
    names = [f"T = {t:g}" for t in OF_MODEL]
    return Grid(_("means"), names, (_("largest p"), _("entropy"), _("loss")), values, decimals=3, shade=False)


def _findings(z: Tensor, places: Places, _: Translate) -> tuple[Finding, ...]:
    largest = _("largest probability at T = {t:g}")
    n, best = len(places.logits), places.logits.argmax(-1)
    p = {t: heated(z, t) for t in (*TEMPERATURES, COLD, HOT)}
    ratios = [(p[t][1] / p[t][0]).item() for t in (0.5, 1.0)]
    stays = torch.stack([_is_most_probable(heated(places.logits, t), best) for t in OF_MODEL]).all(0)  # (n,)
    # Far above all differences of logits, p is uniform up to the first order in 1/T, and H up to the second.
    hot = math.log(len(z)) - z.var(unbiased=False).item() / (2 * HOT**2)
    return (
        *(
            Finding.near(largest.format(t=t), p[t].max().item(), max(by_hand(LOGITS, t)), ROUNDING)
            for t in TEMPERATURES
        ),
        Finding.near(_("p(1) / p(0) at T = 0.5, squared at T = 1"), ratios[0], ratios[1] ** 2, 1e-5),
        Finding.near(largest.format(t=COLD), p[COLD].max().item(), 1.0, ROUNDING),
        Finding.near(_("entropy at T = {t:g}, nats").format(t=HOT), entropy(p[HOT]).item(), hot, ROUNDING),
        Finding.near(
            _("slope of the entropy at T = 1"), slope(z.double(), 1.0),
            slope_expected(z.double(), 1.0), SLOPE_ERROR,
        ),
        Finding.near(
            _("model: positions with an entropy that never falls as T rises"),
            never_colder(places.logits, OF_MODEL), n, 0,
        ),
        Finding.near(_("model: positions with the same most probable token"), int(stays.sum()), n, 0),
    )  # fmt: skip


def _is_most_probable(p: Tensor, ids: Tensor) -> Tensor:
    """True if the id of a row has the largest probability: p (n, V), ids (n,) -> (n,)."""
    return p.gather(-1, ids[:, None])[:, 0] == p.amax(-1)


def _draw(_: Translate, demo: Demo, places: Places, losses: Tensor) -> Plot:
    """Draw the logits of the notes, a model's next token, and the means over all positions."""
    from glassgpt.plots import bars, lines, slide_panels

    plot, axes = slide_panels(3, title=_(TITLE))
    z, ids = torch.tensor(LOGITS), _most_probable(places)
    notes = {f"T = {t:g}": heated(z, t) for t in TEMPERATURES}
    bars(["0", "1", "2"], notes, y_title=_("probability"), title=_("the notes' logits"), axes=axes[0])
    of_model = {f"T = {t:g}": heated(places.next, t)[ids] for t in (2.0, 1.0, 0.5)}
    labels = [visible_label(text, LABEL) for text in token_labels(demo.tokenizer, ids.tolist())]
    bars(
        labels,
        of_model,
        y_title=_("probability"),
        title=_("the model's next token"),
        numbers=False,
        axes=axes[1],
    )
    entropies = torch.stack([entropy(heated(places.logits, t)).mean() for t in CURVE.tolist()])
    series = {_("entropy"): (CURVE, entropies), _("loss"): (CURVE, losses)}
    lines(
        series,
        x_title="T",
        y_title=_("nats"),
        title=_("means over {n} positions").format(n=len(places.logits)),
        axes=axes[2],
    )
    return plot
