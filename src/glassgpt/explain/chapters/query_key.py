"""Chapter `query-key`: Q @ Kᵀ in blocks, each query row against each key column.

The result is the weights before scaling. What scaling does is the chapter `scale`, the mask that of `mask`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.heads import FAMILIES, Layer, Shown, largest_error, rounding, show

if TYPE_CHECKING:
    from glassgpt.plots import Plot

from glassgpt.lens import visible_label

TITLE = "Q @ Kᵀ: every query meets every key"

T = 8
BLOCKS = 4
"""Into how many parts a product of two vectors is cut, so that it can be read on one line."""


def by_pairs(q: Tensor, k: Tensor) -> Tensor:
    """Q @ Kᵀ with one product of two vectors for each query row and key column: (T, D), (S, D) -> (T, S)."""
    return torch.stack([torch.stack([(query * key).sum() for key in k]) for query in q])


def partial(query: Tensor, keys: Tensor, blocks: int = BLOCKS) -> list[Tensor]:
    """The products of a query (D,) with keys (S, D), a block of components at a time: each (S,).

    >>> partial(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    [tensor([3., 0.]), tensor([8., 2.])]
    """
    products = query * keys  # (S, D)
    return [part.sum(-1) for part in products.tensor_split(min(blocks, len(query)), dim=-1)]


def score_error(layers: list[Layer]) -> float:
    """How far Q @ Kᵀ / √D lies from the recorded scores, over all heads, in units of float rounding."""
    worst = 0.0
    for layer in layers:
        scale = layer.q.shape[-1] ** -0.5
        raw, allowed = layer.q @ layer.k.mT, rounding(layer.q, layer.k.mT)  # (H, T, T)
        worst = max(worst, largest_error(raw * scale, layer.scores, allowed * scale))
    return worst


def agreeing(layer: Layer) -> int:
    """Queries of all heads whose largest product, of the keys they may see, has the largest weight."""
    raw = (layer.q @ layer.k.mT).masked_fill(~layer.allowed, -math.inf)
    most = layer.weights.amax(-1, keepdim=True)
    return int((layer.weights.gather(-1, raw.argmax(-1, keepdim=True)) == most).sum())


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """The chapter, computed now."""
    demo = context.demo(*FAMILIES)
    shown = show(demo, T, context.generator())
    q, k = shown.chosen.q[shown.head], shown.chosen.k[shown.head]  # (T, D)
    raw, row = q @ k.mT, shown.row
    best = int(shown.chosen.weights[shown.head, row].argmax())
    asked, other = visible_label(shown.labels[row]), visible_label(shown.labels[best])
    cosine = raw[row] / (q[row].norm() * k.norm(dim=-1)).clamp(min=torch.finfo(q.dtype).tiny)
    body = (
        _(
            "Each token emits two vectors: a query, what it looks for, and a key, what it has to "
            "offer. How well they agree is their product q · k. Q @ Kᵀ is all of them at once: cut Q "
            "(T, D) into its rows and Kᵀ (D, T) into its columns, and the number in row t, column s is "
            "query t times key s."
        ),
        Grid.of(
            _("Q @ Kᵀ: layer {layer}, head {head} of {name}").format(
                layer=shown.layer, head=shown.head, name=demo.name
            ),
            shown.labels, shown.labels, raw, decimals=1 if raw.abs().max() >= 10 else 2,
        ),
        _(
            "Here is one row of it, number {row}: the query of “{asked}” against each key. A product "
            "is a sum over {D} components, shown in {blocks} parts; divided by √{D} it is the score, "
            "and the softmax over the keys that the query may see makes it the weight."
        ).format(row=row, asked=asked, D=q.shape[1], blocks=min(BLOCKS, q.shape[1])),
        _one_query(shown, q, k, _),
        _(
            "The greatest weight, {weight:.2f}, is that of “{other}”, place {best}. A product is large "
            "where both vectors are long and point the same way, q · k = |q| |k| cos θ: here |q| = "
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


def _one_query(shown: Shown, q: Tensor, k: Tensor, _: Translate) -> Grid:
    """A query against each key: the parts of the product, the product, the score and the weight."""
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
    """Which components each part sums: `0–3`, or `0` where it is only one."""
    parts = [part.tolist() for part in torch.arange(D).tensor_split(blocks)]
    return [f"{part[0]}–{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts]


def _direction(raw: Tensor, row: int, best: int, labels: list[str], _: Translate) -> str:
    """That a product of roles is not symmetric, with a pair that shows it."""
    if best == row:  # its own key: take the strangest pair instead
        difference = (raw - raw.mT).abs()
        row, best = divmod(int(difference.argmax()), len(raw))
    return _(
        "The table is not symmetric. “{a}” (place {row}) asking “{b}” (place {best}) gives "
        "{there:.3g}, the other way round {back:.3g}: what a token looks for is not what it offers. So "
        "the weights make a directed graph."
    ).format(
        a=visible_label(labels[row]), b=visible_label(labels[best]), row=row, best=best,
        there=raw[row, best].item(), back=raw[best, row].item(),
    )  # fmt: skip


def _sharing(demo: Demo, _: Translate) -> str:
    """How many query heads share a key head."""
    config = demo.model.config
    if config.kv_heads == config.n_head:
        return _(
            "This model has {n} heads in each layer, every one with queries and keys of its own: the "
            "same text gives {n} such tables."
        ).format(n=config.n_head)
    return _(
        "This model has {n} query heads and {n_kv} key heads in each layer: {group} tables of Q @ Kᵀ "
        "are made with the same keys (grouped-query attention)."
    ).format(n=config.n_head, n_kv=config.kv_heads, group=config.n_head // config.kv_heads)


def _findings(shown: Shown, q: Tensor, k: Tensor, _: Translate) -> tuple[Finding, ...]:
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


def _draw(_: Translate, shown: Shown, q: Tensor, k: Tensor) -> Plot:
    """Q and K, their product, and one query's row of it in parts; what meets in one cell is framed."""
    from glassgpt.plots import heat_map, panels

    row, labels, D = shown.row, shown.labels, q.shape[1]
    best = int(shown.chosen.weights[shown.head, row].argmax())
    parts = partial(q[row], k)
    apart = torch.stack([*parts, q[row] @ k.mT], dim=1)
    components = [str(i) for i in range(D)] if D <= 16 else [""] * D
    picture, axes = panels(4, across=2, size=(6.0, 4.4))
    titles = (
        _("Q: a query in each row"),
        "Q @ Kᵀ",
        _("K: a key in each row, a column of Kᵀ"),
        _("query {row} · each key, in parts").format(row=row),
    )
    heat_map(
        q, labels, components, title=titles[0], cell_text=False, marked=_frame(q, row), axes=axes[0]
    )  # fmt: skip
    product = q @ k.mT
    heat_map(
        product, labels, labels, title=titles[1], marked=_frame(product, row, best),
        row_title=_("query"), column_title=_("key"), axes=axes[1],
    )  # fmt: skip
    heat_map(
        k, labels, components, title=titles[2], cell_text=False, marked=_frame(k, best), axes=axes[2]
    )  # fmt: skip
    columns = [*_part_names(D, len(parts)), "q · k"]
    heat_map(apart, labels, columns, title=titles[3], marked=_frame(apart, best, -1), axes=axes[3])
    return picture


def _frame(like: Tensor, row: int, column: int | None = None) -> Tensor:
    """True in a row, or in one cell of it."""
    marked = torch.zeros_like(like, dtype=torch.bool)
    marked[row, slice(None) if column is None else column] = True
    return marked
