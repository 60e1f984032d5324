"""Chapter `positions`: attention has no notion of space, so a model needs positions.

Shuffled input without them, three ways to add them, and a trained model whose positions are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain import positions as own
from glassgpt.explain.block_parts import Loss, difference, n_texts, text_losses
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.heads import record_layers
from glassgpt.explain.influence import held_out
from glassgpt.models import Transformer
from glassgpt.nn import SinusoidalEmbedding

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Positions: attention has no notion of space"

ROUNDING = 1e6 * torch.finfo(torch.float64).eps
"""Relative tolerance of float64 sums in another order: ε times terms, layers and gains."""
ROUNDING_32 = 1e-5
"""Tolerance of the tables of sines in float32: their angles are off by up to 64 ε."""
SAME_LOSS = 1e-3
"""Nats that rounding may change in a loss in float32."""
SIGMAS = 2
LONGEST = 32
DISTANCES = 16
QUERIES = (16, 32, 48)
"""Positions of the queries in the plot."""
PLACES = ("right", "shifted", "shuffled", "same")


@dataclass(frozen=True)
class Rotary:
    """RoPE with a query and a key of the model."""

    scores: Tensor
    """(n, n): the query at the row's position, the key at the column's."""
    q_error: float
    """Largest relative change of the query's norm."""
    spread: float
    """Largest difference of scores at equal distance, relative to |q| |k|."""
    slowest: float
    """Tokens to a whole turn of the slowest pair."""


def rotary(q: Tensor, k: Tensor, theta: float, n: int) -> Rotary:
    """Place a query and a key, (D,) each, at n positions."""
    turned, keys = own.rotated(q, theta, n), own.rotated(k, theta, n)  # (n, D)
    norms, size = turned.norm(dim=-1), (q.double().norm() * k.double().norm()).item()
    scores = turned @ keys.mT  # (n, n)
    D = len(q)
    return Rotary(
        scores,
        (norms / norms[0] - 1).abs().max().item(),
        own.largest_spread(scores) / size,
        2 * math.pi * theta ** ((D - 2) / D),
    )


def misplaced(demo: Demo, generator: torch.Generator) -> dict[str, Loss]:
    """Measure the loss of a trained model with right and wrong positions."""
    model = demo.model
    assert isinstance(model, Transformer)
    T = min(LONGEST, model.config.block_size // 2)
    tokens = held_out(demo, n_texts(model, len(PLACES), T), T, generator)  # (B, T)
    T = tokens.shape[1]
    order = torch.arange(T)
    places = {
        "right": order,
        "shifted": order + model.config.block_size - T,
        "shuffled": own.shuffled(T, generator),
        "same": torch.zeros_like(order),
    }
    with torch.no_grad():
        losses = {name: text_losses(own.at_positions(model, at), tokens) for name, at in places.items()}
    return {name: difference(each, losses["right"]) for name, each in losses.items()}


def decoding_demo(context: ChapterContext) -> Demo:
    """Return the user's GPT if it has positions, or the built-in one."""
    found = context.demo("gpt", min_block=8)
    return found if found.model.config.position != "none" else ChapterContext(seed=context.seed).demo("gpt")


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    demo = decoding_demo(context)
    kinds = {kind: own.sensitivity(kind, generator) for kind in own.KINDS}
    causal = [own.earlier_shuffled(n, generator) for n in (1, 2)]
    q, k = _query_and_key(demo, generator)
    turned = rotary(q, k, demo.model.config.rope_theta, own.BLOCK)
    table = SinusoidalEmbedding(own.BLOCK, own.WIDTH).table  # (n, C)
    losses = misplaced(demo, generator)
    body = (
        *_unordered(_, kinds, causal),
        *_three_ways(_, kinds, turned, len(q)),
        *_trained(_, demo, losses),
    )
    findings = (
        *_theory(_, kinds, causal),
        *_tables(_, table, turned),
        *_wrong_places(_, demo, losses),
    )

    def draw() -> Plot:
        from glassgpt.explain.pictures.positions import draw

        learned = _learned_scores(q, k, context.generator())
        costs = {name: (losses[key].mean, losses[key].error) for key, name in _place_names(_).items()}
        rows = (turned.scores, learned)
        curves = [[each[at, at - DISTANCES + 1 : at + 1].flip(0) for at in QUERIES] for each in rows]
        return draw(_, table, QUERIES, curves, costs)

    return Chapter("positions", _(TITLE), body, findings, draw, _)


def _query_and_key(demo: Demo, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the query and the key of the first token in the first head, (D,) each; RoPE turns it by 0."""
    layer = record_layers(demo.model, held_out(demo, 1, 8, generator))[0]
    return layer.q[0, 0], layer.k[0, 0]


def _learned_scores(q: Tensor, k: Tensor, generator: torch.Generator) -> Tensor:
    """Return the scores (n, n) of a query and a key with rows of a new table added."""
    size = q.norm() / len(q) ** 0.5
    tables = size * torch.randn(2, own.BLOCK, len(q), generator=generator)
    return (q + tables[0]) @ (k + tables[1]).mT


def _kind_names(_: Translate) -> dict[str, str]:
    names = (_("no positions"), _("learned table"), _("sinusoidal"), _("RoPE"))
    return dict(zip(own.KINDS, names, strict=True))


def _place_names(_: Translate) -> dict[str, str]:
    names = (_("right positions"), _("all shifted"), _("shuffled"), _("all the same"))
    return dict(zip(PLACES, names, strict=True))


def _unordered(_: Translate, kinds: dict[str, own.Sensitivity], causal: Sequence[float]) -> list[str | Grid]:
    return [
        _(
            "Attention is a weighted sum over a set: nothing in q · k says where a token stands. Shuffle the "
            "{T} tokens of a text, and an encoder without positions gives the same outputs, shuffled "
            "(relative difference {gap:.1g}: rounding in float64). It cannot tell “dog bites man” from “man "
            "bites dog”."
        ).format(T=own.T, gap=kinds["none"].shuffled),
        _(
            "A decoder is different, since its mask is not symmetric: token t sees t tokens, so the number "
            "of visible tokens tells something. In one block the last token still sees a set: shuffle the "
            "tokens before it, and its output stays the same ({one:.1g}). In two blocks it changes by "
            "{two:.0%}, since the earlier tokens saw different sets. So a causal model without positions "
            "can learn some order, by a detour."
        ).format(one=causal[0], two=causal[1]),
    ]


def _three_ways(_: Translate, kinds: dict[str, own.Sensitivity], turned: Rotary, D: int) -> list[str | Grid]:
    names = _kind_names(_)
    rows = [[kind.shuffled, kind.shifted, kind.n_params] for kind in kinds.values()]
    return [
        _(
            "Three ways to add positions. GPT-2 learns a table with a row for each position, and adds the "
            "row to the token's vector. The sinusoidal table is fixed: sines and cosines of many "
            "wavelengths. RoPE adds nothing: it rotates the pairs of each query and key by an angle that "
            "grows with the position. The table shows an encoder with random weights, so it says what is "
            "possible, not what is learned."
        ),
        Grid(
            _("change of the output, relative"),
            [names[name] for name in kinds],
            (_("shuffled text"), _("text starts later"), _("trained numbers")),
            rows,
            shade=False,
        ),
        _(
            "RoPE sees distances only: rotate a query for position t and a key for position s, and the "
            "angle between them depends on t − s. The norms stay. The first of the {pairs} pairs turns by "
            "1 radian a token, the last needs {slowest:,.0f} tokens for a whole turn: near and far are "
            "both told apart."
        ).format(pairs=D // 2, slowest=turned.slowest),
    ]


def _trained(_: Translate, demo: Demo, losses: dict[str, Loss]) -> list[str | Grid]:
    names = _place_names(_)
    rows = [[loss.mean, loss.added, loss.error] for loss in losses.values()]
    return [
        _(
            "How much does {name} rely on its positions ({kind})? It reads the same held-out texts, in the "
            "right order, but with the positional information of other places. With RoPE a shift changes "
            "nothing, by theory. A learned table has other rows there."
        ).format(name=demo.name, kind=_kind_names(_)[demo.model.config.position]),
        Grid(
            _("nats a token"),
            [names[name] for name in losses],
            (_("nats"), _("added"), "±"),
            rows,
            decimals=3,
            shade=False,
        ),
    ]


def _theory(_: Translate, kinds: dict[str, own.Sensitivity], causal: Sequence[float]) -> tuple[Finding, ...]:
    least = min(kinds[kind].shuffled for kind in own.KINDS[1:])
    return (
        Finding.at_most(_("encoder without positions, shuffled text"), kinds["none"].shuffled, ROUNDING),
        Finding.at_least(_("with positions, shuffled text: least change of the three"), least, ROUNDING),
        Finding.at_most(
            _("decoder without positions, 1 block: earlier tokens shuffled"), causal[0], ROUNDING
        ),
        Finding.at_least(_("the same with 2 blocks"), causal[1], ROUNDING),
        Finding.at_most(_("RoPE, text starts later"), kinds["rope"].shifted, ROUNDING),
        Finding.at_least(_("learned table, text starts later"), kinds["learned"].shifted, ROUNDING),
    )


def _tables(_: Translate, table: Tensor, turned: Rotary) -> tuple[Finding, ...]:
    """Compare with trigonometry: cos a cos b + sin a sin b = cos(a − b)."""
    products = table.double() @ table.double().mT / table.shape[1]  # (n, n)
    return (
        Finding.at_most(
            _("sinusoidal: spread of products of rows at equal distance"),
            own.largest_spread(products),
            ROUNDING_32,
        ),
        Finding.at_most(_("RoPE: change of the norm of a query"), turned.q_error, ROUNDING),
        Finding.at_most(_("RoPE: spread of q · k at equal distance"), turned.spread, ROUNDING),
    )


def _wrong_places(_: Translate, demo: Demo, losses: dict[str, Loss]) -> tuple[Finding, ...]:
    shifted, shuffled = losses["shifted"], losses["shuffled"]
    found = [_costly(_, _("nats added by shuffled positions"), shuffled)]
    if demo.model.config.position == "rope":
        name = _("nats added by shifted positions (RoPE)")
        return (Finding.near(name, shifted.added, 0.0, SAME_LOSS), *found)
    return (_costly(_, _("nats added by shifted positions"), shifted), *found)


def _costly(_: Translate, name: str, loss: Loss) -> Finding:
    """Check that wrong positions cost more than the noise; no theory says how much."""
    finding = Finding.at_least(name, loss.added, SIGMAS * loss.error)
    if finding.outcome == "ok":
        return finding
    advice = _("no more than chance: this model hardly uses its positions")
    return Finding(name, finding.observed, finding.expected, "unclear", advice)
