"""Chapter `sampling`: draws with and without replacement, compared with their probabilities.

The chapter `temperature` turns logits into probabilities.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.draws import CHANCE, SIGMAS, Fit, cells
from glassgpt.explain.predictions import LABEL, TEXTS, sample_predictions
from glassgpt.generate import SamplingParams, multinomial, probabilities
from glassgpt.lens import token_labels, visible_label

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Drawing the next token"

P = (0.2, 0.5, 0.3)
ROWS = (P, (0.6, 0.1, 0.3))
"""One distribution for each row of a matrix: that of the notes, and a second one."""
N = 4000
"""Number of counted draws."""
SHOWN = 8
"""Number of tokens with a count of their own, at most."""


def orders(p: Sequence[float]) -> dict[tuple[int, ...], float]:
    """Return the probability of each order of all ids, drawn without replacement.

    For three ids: p_i · p_j / (1 − p_i), since the third is the only one left.

    >>> {order: round(share, 4) for order, share in orders([0.2, 0.5, 0.3]).items()}[1, 2, 0]
    0.3
    """
    found = {}
    for order in permutations(range(len(p))):
        share, left = 1.0, 1.0
        for id in order[:-1]:
            share, left = share * p[id] / left, left - p[id]
        found[order] = share
    return found


@dataclass(frozen=True)
class Next:
    """Next tokens of a text with their counts, the most probable first, the rest together."""

    text: str
    """The end of the text."""
    labels: list[str]
    fit: Fit


def next_token(demo: Demo, n: int, generator: torch.Generator) -> Next | None:
    """Draw the token after a held-out text n times; None if only one is possible."""
    place = sample_predictions(demo, generator)
    p = probabilities(place.next[None], SamplingParams())[0]  # (V,)
    counts = multinomial(p, n, replacement=True, generator=generator).bincount(minlength=len(p))
    ids, rest = cells(p, n, SHOWN)
    counted, shares = [*counts[ids].tolist()], [*p[ids].tolist()]
    if p[rest].sum() > 0:
        counted, shares = [*counted, int(counts[rest].sum())], [*shares, p[rest].sum().item()]
    if len(counted) < 2:
        return None
    labels = token_labels(demo.tokenizer, ids.tolist())
    return Next(place.text, labels, Fit(tuple(counted), tuple(shares)))


@dataclass(frozen=True)
class Draws:
    """Draws from the probabilities of the notes."""

    one: list[int]
    """3 ids without replacement."""
    two: list[list[int]]
    """2 ids with replacement, of each row of a matrix."""
    orders: Fit
    """Of N times 3 ids without replacement."""
    rows: tuple[Fit, ...]
    """Of N ids with replacement, of each row."""
    whole: int
    """Times out of N with all three ids, each once."""
    pairs: tuple[float, float]
    """Share of pairs with the same id: with and without replacement."""


def draw(generator: torch.Generator) -> Draws:
    """Draw from the fixed probabilities of the chapter."""
    p, matrix = torch.tensor(P), torch.tensor(ROWS)
    one = multinomial(p, 3, generator=generator).tolist()
    two = multinomial(matrix, 2, replacement=True, generator=generator).tolist()
    triples = multinomial(p.expand(N, -1), 3, generator=generator)  # (N, 3)
    with_again = multinomial(p.expand(N, -1), 2, replacement=True, generator=generator)  # (N, 2)
    ids = multinomial(matrix, N, replacement=True, generator=generator)  # (2, N)
    counted = Counter(map(tuple, triples.tolist()))
    expected = orders(P)
    return Draws(
        one,
        two,
        Fit(tuple(counted[order] for order in expected), tuple(expected.values())),
        tuple(Fit(tuple(row.bincount(minlength=3).tolist()), of) for row, of in zip(ids, ROWS, strict=True)),
        int((triples.sort(-1).values == torch.arange(3)).all(-1).sum()),
        (_equal(with_again), _equal(triples[:, :2])),
    )


def _equal(pairs: Tensor) -> float:
    """Return the share of rows (N, 2) with the same id twice."""
    return (pairs[:, 0] == pairs[:, 1]).double().mean().item()


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    draws = draw(generator)
    demo = context.demo("gpt", "bigram")
    seen = next_token(demo, N, context.generator())  # the text of the chapter `temperature`
    again = sum(p * p for p in P)
    body: list[str | Grid] = [
        _(
            "A model does not output a token. It outputs a probability for each token; the sampler then "
            "draws one. From the probabilities {p}, {n} draws without replacement gave {one} just now. Each "
            "drawn id is removed and the other probabilities are normalized again. So three draws from "
            "three ids always give all three: only the order is random. A fourth draw has nothing left and "
            "is refused."
        ).format(p=_list(P), n=len(P), one=draws.one),
        _(
            "Orders have different probabilities: i first, then j, has p_i · p_j / (1 − p_i). The next "
            "table shows {N:,} times three draws, counted and expected:"
        ).format(N=N),
        Grid(
            _("order of three draws"),
            (_("drawn"), _("expected")),
            [" ".join(map(str, order)) for order in orders(P)],
            (draws.orders.measured, draws.orders.shares),
            decimals=3,
        ),
        _(
            "With replacement an id can come again, and the number of draws has no limit. A matrix is drawn "
            "from row by row: two draws from each of its two rows gave {two}. The probability of the same "
            "id twice from {p} is Σ p² = {again:.2f}; in {N:,} pairs the share was {share:.3f}, and "
            "{without:.0f} without replacement."
        ).format(two=draws.two, p=_list(P), again=again, N=N, share=draws.pairs[0], without=draws.pairs[1]),
        Grid(
            _("{N:,} draws with replacement").format(N=N),
            [name for row in range(len(ROWS)) for name in _row_names(row, _)],
            ("0", "1", "2"),
            [row for fit in draws.rows for row in (fit.measured, fit.shares)],
            decimals=3,
        ),
        *_of_model(demo, seen, _),
        _(
            "How far may counts be from n · p? Each has the standard error √(n p (1 − p)). Together, χ² = Σ "
            "(counted − n p)² / (n p) is about the number of cells minus one. By chance, it exceeds the "
            "bounds below one time in {odds:,}."
        ).format(odds=round(1 / CHANCE / 1000) * 1000),
    ]  # fmt: skip
    findings = _findings(draws, seen, again, _)
    return Chapter("sampling", _(TITLE), tuple(body), findings, lambda: _draw(_, draws, seen), _)


def _list(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _row_names(row: int, _: Translate) -> tuple[str, str]:
    return _("row {row}, drawn").format(row=row), _("row {row}, expected").format(row=row)


def _of_model(demo: Demo, seen: Next | None, _: Translate) -> list[str | Grid]:
    """Return text and table about draws from a model's probabilities."""
    if seen is None:
        return [
            _(
                "A model's probabilities are such a vector, only longer. But here there is nothing to draw: "
                "{name} is certain of the next token. Another --seed takes another text."
            ).format(name=demo.name)
        ]
    said = _(
        "A model's probabilities are such a vector, only longer. Of {n} held-out texts, {name} was least "
        "certain after this one (the end is shown): “{text}”. The next table shows its {V} probabilities "
        "for the next token, and {N:,} draws from them:"
    ).format(name=demo.name, text=visible_label(seen.text), n=TEXTS, V=demo.model.n_vocab, N=N)
    grid = Grid(
        _("next token"),
        (_("drawn"), _("expected")),
        _cells(seen, _),
        (seen.fit.measured, seen.fit.shares),
        decimals=3,
    )
    return [said, grid]


def _cells(seen: Next, _: Translate) -> list[str]:
    rest = [_("others")] if len(seen.fit.counts) > len(seen.labels) else []
    return [*seen.labels, *rest]


def _findings(draws: Draws, seen: Next | None, again: float, _: Translate) -> tuple[Finding, ...]:
    found = [
        Finding.near(_("3 draws without replacement with all 3 ids"), draws.whole, N, 0),
        Finding.at_most(_("χ² of the six orders"), draws.orders.chi_square, draws.orders.bound),
        *(
            Finding.at_most(_("χ² of row {row}, with replacement").format(row=row), fit.chi_square, fit.bound)
            for row, fit in enumerate(draws.rows)
        ),
        Finding.near(
            _("same id twice, with replacement"), draws.pairs[0], again,
            SIGMAS * math.sqrt(again * (1 - again) / N),
        ),
        Finding.near(_("same id twice, without replacement"), draws.pairs[1], 0.0, 0.0),
    ]  # fmt: skip
    if seen is not None:
        name = _("χ² of the model's next token")
        found.append(Finding.at_most(name, seen.fit.chi_square, seen.fit.bound))
    return tuple(found)


def _draw(_: Translate, draws: Draws, seen: Next | None) -> Plot:
    """Draw measured shares as bars, and expected shares as dashes over them."""
    from glassgpt.plots import bars, slide_panels

    drawn, expected = _("drawn"), _("expected")
    plot, axes = slide_panels(1 if seen is None else 2, title=_(TITLE))
    names = [" ".join(map(str, order)) for order in orders(P)]
    of = _("three draws without replacement from {p}").format(p=_list(P))
    fits = [(names, draws.orders, of)]
    if seen is not None:
        fits.append(
            ([visible_label(cell, LABEL) for cell in _cells(seen, _)], seen.fit, _("the model's next token"))
        )
    for at, (groups, fit, title) in zip(axes, fits, strict=True):
        bars(
            groups, {drawn: fit.measured}, expected={drawn: fit.shares}, expected_title=expected,
            numbers=False, y_title=_("share"), title=title, axes=at,
        )  # fmt: skip
    return plot
