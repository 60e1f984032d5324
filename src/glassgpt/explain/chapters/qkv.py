"""Chapter `qkv`: one matrix product makes queries, keys and values.

(T, C) @ (C, 3C) → (T, 3C), the shape of GPT-2 small, then the same in a trained model, with grouped queries
and in cross-attention. Times are shown, and no claim is made of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext
from glassgpt.explain.influence import held_out
from glassgpt.hooks import record
from glassgpt.models import Model
from glassgpt.nn import Attention

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Queries, keys and values from one matrix"

T, C = 6, 768
"""As in the notes: GPT-2 small."""
REPEATS = 15


@dataclass(frozen=True)
class Fused:
    """One product, compared with its parts computed separately."""

    whole: Tensor
    """(T, rows)."""
    error: float
    """Largest difference between the two, in units of the rounding bound: at most 1."""


def compare_fused(x: Tensor, weight: Tensor, bias: Tensor | None, widths: Sequence[int]) -> Fused:
    """Multiply x (T, C) by all rows of weight (rows, C) at once, and by each group of rows.

    A sum of n products is off by at most n·u·Σ|x||w| in any order, u half of ε: so two of them
    differ by at most twice as much. Source: Higham 2002, section 3.1.
    """
    whole = F.linear(x, weight, bias)
    biases = [None] * len(widths) if bias is None else bias.split(list(widths))
    parts = [F.linear(x, w, b) for w, b in zip(weight.split(list(widths)), biases, strict=True)]
    size = F.linear(x.abs(), weight.abs(), None if bias is None else bias.abs())
    allowed = (x.shape[-1] + 1) * torch.finfo(x.dtype).eps * size
    error = ((whole - torch.cat(parts, dim=-1)).abs() / allowed.clamp(min=torch.finfo(x.dtype).tiny)).max()
    return Fused(whole, error.item())


def widths(attention: Attention) -> list[int]:
    """Return the numbers of rows for queries, keys and values."""
    return [n * attention.head_dim for n in (attention.n_head, attention.n_kv_head, attention.n_kv_head)]


@dataclass(frozen=True)
class Seen:
    """Activations of the first block's attention on a text (1, T)."""

    x: Tensor
    """(T, C): its input."""
    fused: Fused
    values: float
    """Largest difference between the last columns of the product and the kernel's values."""


@torch.no_grad()
def first_attention(model: Model, tokens: Tensor) -> Seen:
    """Record the input and the values of the first attention."""
    block = model.get_submodule("blocks.0")
    attention: Attention = block.get_submodule("attn")  # pyright: ignore[reportAssignmentType]
    with record(model, ["blocks.0.resid_pre", "blocks.0.attn.v"]) as seen:
        model.trunk(tokens)
    x = block.get_submodule("norm_1")(seen["blocks.0.resid_pre"])[0]  # (T, C)
    fused = compare_fused(x, attention.qkv.weight, attention.qkv.bias, widths(attention))
    v = seen["blocks.0.attn.v"][0].transpose(0, 1).flatten(1)  # (H_kv, T, D) -> (T, H_kv · D)
    return Seen(x, fused, (fused.whole[:, -v.shape[1] :] - v).abs().max().item())


@torch.no_grad()
def cross_values(model: Model, tokens: Tensor, source: Tensor) -> float:
    """Return the relative difference of cross values from the value rows times the memory."""
    attention: Attention = model.get_submodule("blocks.0.cross_attn")  # pyright: ignore[reportAssignmentType]
    memory = model.encode(source)
    assert memory is not None
    with record(model, "blocks.0.cross_attn.v") as seen:
        model(tokens, memory=memory)
    v = seen["blocks.0.cross_attn.v"][0].transpose(0, 1).flatten(1)  # (S, H_kv · D)
    n = widths(attention)[2]
    bias = None if attention.qkv.bias is None else attention.qkv.bias[-n:]
    expected = F.linear(memory.states[0], attention.qkv.weight[-n:], bias)
    return ((v - expected).norm() / expected.norm()).item()


def microseconds(run: Callable[[], object]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times) * 1e6


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    x, weight = torch.randn(T, C, generator=generator), torch.randn(3 * C, C, generator=generator) * C**-0.5
    small = compare_fused(x, weight, None, [C, C, C])
    decoder, pair = context.demo("gpt"), context.demo("seq2seq")
    seen = first_attention(decoder.model, held_out(decoder, 1, T, generator))
    own: Attention = decoder.model.get_submodule("blocks.0.attn")  # pyright: ignore[reportAssignmentType]
    batch = pair.examples.val.batch(torch.randint(len(pair.examples.val), (1,), generator=generator).numpy())
    assert batch.source is not None
    crossed = cross_values(pair.model, batch.tokens, batch.source)
    look: Attention = pair.model.get_submodule("blocks.0.cross_attn")  # pyright: ignore[reportAssignmentType]
    shapes = {
        "GPT-2 small": _made(12, None),
        _("the same, 4 heads for keys and values"): _made(12, 4),
        decoder.name: own,
        _("{name}, cross-attention").format(name=pair.name): look,
    }
    grouped = shapes[_("the same, 4 heads for keys and values")]

    body = (
        _(
            "Each token needs a query, a key and a value: three matrices of C × C, three products with the "
            "same x. Put the three matrices side by side, and one product computes them all: (T, C) @ (C, "
            "3C) → (T, 3C). The result is then split in three. For T = {T} and C = {C}, as in GPT-2 small: "
            "({T}, {C}) @ ({C}, {wide}) → ({T}, {wide})."
        ).format(T=T, C=C, wide=3 * C),
        _(
            "Nothing else changes. Every column of the result is x times one column of the matrix, "
            "independent of the other columns. So one product, split in three, gives the same numbers as "
            "three products, up to the order of additions. {seen}"
        ).format(seen=_difference(small, _)),
        _(
            "The reason: the number of multiplications stays the same, but two of three calls, and two of "
            "three reads of x, are saved. Medians of {n} calls just now:"
        ).format(n=REPEATS),
        _times(weight, generator, _),
        _(
            "One product can even be slower. For {T} tokens, most of the time goes into reading the weights "
            "from RAM, {mb:.0f} MB either way; and the library cuts a product of another shape into other "
            "pieces for caches and threads, which may suit the three better. The saved calls count where "
            "starting one costs as much as a small product: on a GPU, or in a model with many small layers."
        ).format(T=T, mb=3 * C * C * 4 / 1e6),
        _(
            "So does {name}: its first block has one matrix of {rows} rows. With grouped queries, "
            "several query heads share one key and value head, so the matrix has (H + 2·H_kv)·D rows "
            "instead of 3C. Cross-attention has one matrix, too: its query rows multiply x, its key and "
            "value rows multiply the memory."
        ).format(name=decoder.name, rows=own.qkv.weight.shape[0]),
        Grid(
            _("the matrix of one attention"),
            list(shapes),
            ("H", "H_kv", "D", "C", _("rows")),
            [
                [a.n_head, a.n_kv_head, a.head_dim, a.qkv.in_features, a.qkv.out_features]
                for a in shapes.values()
            ],
            decimals=0,
            shade=False,
        ),
    )
    findings = (
        Finding.near(_("columns of the product, GPT-2 small"), small.whole.shape[1], 2304, 0),
        Finding.at_most(_("one product ↔ three, in units of float rounding"), small.error, 1.0),
        Finding.at_most(_("the same in this model's first attention"), seen.fused.error, 1.0),
        Finding.at_most(_("last columns of the product ↔ the values that the head used"), seen.values, 1e-5),
        Finding.near(
            _("rows with grouped queries, 12 heads and 4"), grouped.qkv.out_features, (12 + 2 * 4) * 64, 0
        ),
        Finding.at_most(_("cross-attention: value rows × memory ↔ the values used"), crossed, 1e-5),
    )

    def draw() -> Plot:
        from glassgpt.explain.pictures.qkv import draw

        return draw(_, T, C)

    return Chapter("qkv", _(TITLE), body, findings, draw, _)


def _difference(found: Fused, _: Translate) -> str:
    """Return a sentence about the largest difference."""
    if found.error == 0:
        return _("Here all {n:,} numbers agree to the last bit.").format(n=found.whole.numel())
    said = _("The largest difference here is {share:.0%} of what float32 rounding may cause.")
    return said.format(share=found.error)


def _made(n_head: int, n_kv_head: int | None) -> Attention:
    """Return an attention of the width of GPT-2 small, without allocating its weights."""
    settings = {"preset": "gpt2", "n_embd": C, "n_head": n_head, "n_kv_head": n_kv_head}
    with torch.device("meta"):
        return Attention(ModelConfig.model_validate(settings))


def _times(weight: Tensor, generator: torch.Generator, _: Translate) -> Grid:
    """Return a table of times of one product and of three, for few and many tokens."""
    rows = []
    for n in (T, 128):
        x = torch.randn(n, C, generator=generator)
        parts = [part.contiguous() for part in weight.split(C)]
        rows.append(
            [
                microseconds(lambda x=x: F.linear(x, weight)),
                microseconds(lambda x=x, parts=parts: [F.linear(x, part) for part in parts]),
            ]
        )
    return Grid(
        _("microseconds, C = 768"),
        [_("{n} tokens").format(n=n) for n in (T, 128)],
        (_("one product"), _("three products")),
        rows,
        decimals=0,
        shade=False,
    )
