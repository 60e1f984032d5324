"""Chapter `query-key`: Q @ Kᵀ, the product of each query with each key.

The result are the scores before scaling. The chapters `scale` and `mask` cover the next steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.heads import (
    FAMILIES,
    AttentionLayer,
    HeadExample,
    head_example,
    largest_error,
    rounding,
)

if TYPE_CHECKING:
    from glassgpt.plots import Plot

from glassgpt.lens import visible_label

TITLE = "Q @ Kᵀ: every query meets every key"

T = 8
BLOCKS = 4
"""Parts of a product of two vectors, to fit on one line."""


def by_pairs(q: Tensor, k: Tensor) -> Tensor:
    """Compute Q @ Kᵀ one pair of vectors at a time: (T, D), (S, D) -> (T, S)."""
    return torch.stack([torch.stack([(query * key).sum() for key in k]) for query in q])


def partial(query: Tensor, keys: Tensor, blocks: int = BLOCKS) -> list[Tensor]:
    """Compute products of a query (D,) with keys (S, D) by blocks of components: each (S,).

    >>> partial(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    [tensor([3., 0.]), tensor([8., 2.])]
    """
    products = query * keys  # (S, D)
    return [part.sum(-1) for part in products.tensor_split(min(blocks, len(query)), dim=-1)]


def score_error(layers: list[AttentionLayer]) -> float:
    """Return the largest difference of Q @ Kᵀ / √D from the recorded scores, in float roundings."""
    worst = 0.0
    for layer in layers:
        scale = layer.q.shape[-1] ** -0.5
        raw, allowed = layer.q @ layer.k.mT, rounding(layer.q, layer.k.mT)  # (H, T, T)
        worst = max(worst, largest_error(raw * scale, layer.scores, allowed * scale))
    return worst


def agreeing(layer: AttentionLayer) -> int:
    """Count the queries whose largest product with an allowed key has the largest weight."""
    raw = (layer.q @ layer.k.mT).masked_fill(~layer.allowed, -math.inf)
    most = layer.weights.amax(-1, keepdim=True)
    return int((layer.weights.gather(-1, raw.argmax(-1, keepdim=True)) == most).sum())


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    demo = context.demo(*FAMILIES)
    shown = head_example(demo, T, context.generator())
    q, k = shown.chosen.q[shown.head], shown.chosen.k[shown.head]  # (T, D)
    raw, row = q @ k.mT, shown.row
    best = int(shown.chosen.weights[shown.head, row].argmax())
    asked, other = visible_label(shown.labels[row]), visible_label(shown.labels[best])
    cosine = raw[row] / (q[row].norm() * k.norm(dim=-1)).clamp(min=torch.finfo(q.dtype).tiny)
    body = (
        _(
            "Each token has two vectors: a query (what it looks for) and a key (what it offers). Their "
            "product q · k measures how well they match. Q @ Kᵀ computes all products at once: cut Q (T, D) "
            "into rows and Kᵀ (D, T) into columns. Row t, column s of the result is query t times key s."
        ),
        Grid.of(
            _("Q @ Kᵀ: layer {layer}, head {head} of {name}").format(
                layer=shown.layer, head=shown.head, name=demo.name
            ),
            shown.labels, shown.labels, raw, decimals=1 if raw.abs().max() >= 10 else 2,
        ),
        _(
            "The next table takes row {row}: the query of “{asked}” with each key. A product is a sum over "
            "{D} components, shown in {blocks} parts. Divided by √{D} it is the score. The softmax over all "
            "allowed keys turns scores into weights."
        ).format(row=row, asked=asked, D=q.shape[1], blocks=min(BLOCKS, q.shape[1])),
        _one_query(shown, q, k, _),
        _(
            "The largest weight, {weight:.2f}, is that of “{other}” at position {best}. A product is large "
            "if both vectors are long and point in the same direction, q · k = |q| |k| cos θ: here |q| = "
            "{q:.1f}, |k| = {k:.1f} and cos θ = {cosine:.2f}."
        ).format(
            weight=shown.chosen.weights[shown.head, row, best].item(), other=other, best=best,
            q=q[row].norm().item(), k=k[best].norm().item(), cosine=cosine[best].item(),
        ),
        _direction(raw, row, best, shown.labels, _),
        _sharing(demo, _),
    )  # fmt: skip
    findings = _findings(shown, q, k, _)
    return Chapter("query-key", _(TITLE), body, findings, lambda: _draw(_, shown, q, k), _)


def _one_query(shown: HeadExample, q: Tensor, k: Tensor, _: Translate) -> Grid:
    """Return a table of a query with each key: parts, product, score, weight."""
    parts = partial(q[shown.row], k)
    scores = shown.chosen.scores[shown.head, shown.row]
    weights = shown.chosen.weights[shown.head, shown.row]
    return Grid.of(
        _("the query of row {row}").format(row=shown.row),
        shown.labels,
        [*_part_names(q.shape[1], len(parts)), "q · k", "/ √D", _("weight")],
        torch.stack([*parts, q[shown.row] @ k.mT, scores, weights], dim=1),
    )


def _part_names(D: int, blocks: int) -> list[str]:
    """Return the components of each part: `0–3`, or `0` for a single one."""
    parts = [part.tolist() for part in torch.arange(D).tensor_split(blocks)]
    return [f"{part[0]}–{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts]


def _direction(raw: Tensor, row: int, best: int, labels: list[str], _: Translate) -> str:
    """Return the text about a pair with different products in both directions."""
    if best == row:  # its own key: take the strangest pair instead
        difference = (raw - raw.mT).abs()
        row, best = divmod(int(difference.argmax()), len(raw))
    return _(
        "The table is not symmetric. The query of “{a}” (position {row}) with the key of “{b}” (position "
        "{best}) gives {there:.3g}, the reverse {back:.3g}: a token looks for one thing and offers another. "
        "So the weights make a directed graph."
    ).format(
        a=visible_label(labels[row]), b=visible_label(labels[best]), row=row, best=best,
        there=raw[row, best].item(), back=raw[best, row].item(),
    )  # fmt: skip


def _sharing(demo: Demo, _: Translate) -> str:
    """Return the text about the number of query heads for each key head."""
    config = demo.model.config
    if config.kv_heads == config.n_head:
        return _(
            "This model has {n} heads in each layer, each with its own queries and keys: the same text "
            "gives {n} such tables."
        ).format(n=config.n_head)
    return _(
        "This model has {n} query heads and {n_kv} key heads in each layer: {group} tables of Q @ Kᵀ share "
        "the same keys (grouped-query attention)."
    ).format(n=config.n_head, n_kv=config.kv_heads, group=config.n_head // config.kv_heads)


def _findings(shown: HeadExample, q: Tensor, k: Tensor, _: Translate) -> tuple[Finding, ...]:
    pairs = largest_error(by_pairs(q, k), q @ k.mT, rounding(q, k.mT))
    whole = torch.stack(partial(q[shown.row], k)).sum(0)
    blocks = largest_error(whole, q[shown.row] @ k.mT, rounding(q, k.mT)[shown.row])
    queries = sum(layer.q[..., 0].numel() for layer in shown.layers)
    return (
        Finding.at_most(_("pair by pair ↔ Q @ Kᵀ, float roundings"), pairs, 1.0),
        Finding.at_most(_("sum of the parts ↔ q · k, float roundings"), blocks, 1.0),
        Finding.at_most(_("Q @ Kᵀ / √D ↔ recorded scores, float roundings"), score_error(shown.layers), 1.0),
        Finding.near(
            _("queries: largest product, largest weight"),
            sum(agreeing(layer) for layer in shown.layers),
            queries,
            0,
        ),
    )


def _draw(_: Translate, shown: HeadExample, q: Tensor, k: Tensor) -> Plot:
    """Draw Q, Kᵀ and their product, with frames around the example."""
    from glassgpt.explain.pictures.query_key import draw

    best = int(shown.chosen.weights[shown.head, shown.row].argmax())
    return draw(_, shown.labels, q, k, shown.row, best)
