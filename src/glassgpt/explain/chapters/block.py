"""Chapter `block`: the residual stream, the norms and the MLP around attention.

Each part writes into the stream. The chapter measures how much, the loss without the part, and the gradient
through deep stacks with and without the residual path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glassgpt.diagnose import Finding
from glassgpt.explain.block_parts import (
    KNOCKOUTS,
    Loss,
    Writes,
    knock_out,
    n_texts,
    record_writes,
    shown_blocks,
)
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.deep_stacks import BUILDS, DEPTHS, DeepStack, grow, random_blocks
from glassgpt.explain.influence import held_out

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "The block: a residual stream that each part reads and adds to"

LENGTH = 64
SIGMAS = 2
STEADY = 10.0
"""Factor by which the gradient of a deep stack with path and norms may differ from that of one block."""
BROKEN = 1e3
"""Factor by which it differs at least without the path."""


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    demo = context.demo("gpt")
    blocks = shown_blocks(demo.model.config.n_layer)
    passes = 1 + len(blocks) * len(KNOCKOUTS)
    tokens = held_out(demo, n_texts(demo.model, passes, LENGTH), LENGTH, generator)  # (B, T)
    writes = record_writes(demo.model, tokens)
    whole, losses = knock_out(demo.model, tokens, blocks)
    deep = random_blocks(DEPTHS[-1], context.seed)
    stacks = {name: grow(deep, *build, context.seed) for name, build in BUILDS.items()}
    body = (
        *_stream(_, demo, writes),
        *_without(_, tokens.numel(), whole, losses),
        *_deep(_, stacks),
    )

    def draw() -> Plot:
        from glassgpt.explain.pictures.block import draw

        first = writes[0]
        rms = (first.before, first.attention, first.between, first.mlp, first.after)
        gradients = {_build_names(_)[name]: [s.gradient for s in stack] for name, stack in stacks.items()}
        parts = {name: losses[blocks[0], key] for key, name in _knockout_names(_).items()}
        costs = {name: (loss.added, loss.error) for name, loss in parts.items()}
        return draw(_, rms, demo.model.config.n_embd, costs, DEPTHS, gradients)

    findings = (*_exact(_, writes), *_costs(_, losses), *_depth(_, stacks))
    return Chapter("block", _(TITLE), body, findings, draw, _)


def _knockout_names(_: Translate) -> dict[str, str]:
    """Name each change of a block."""
    names = (
        _("without attention"), _("without the MLP"), _("without both"),
        _("norm gains set to 1"), _("without norms"), _("without the residual path"),
    )  # fmt: skip
    return dict(zip(KNOCKOUTS, names, strict=True))


def _build_names(_: Translate) -> dict[str, str]:
    return {"both": _("path and norms"), "norm": _("norms, no path"), "path": _("path, no norms")}


def _stream(_: Translate, demo: Demo, writes: Sequence[Writes]) -> list[str | Grid]:
    last = writes[-1]
    text = _(
        "A block of {name} computes x = x + attention(norm(x)), then x = x + MLP(norm(x)). The vector x of a "
        "token, {C} numbers, is the residual stream. Each part reads a normed copy and adds its result, so "
        "the stream after the last block is the embedding plus everything that the {n} parts wrote. "
        "Attention moves information between tokens. The MLP works on each token alone."
    )
    sizes = _(
        "The stream grows as parts write: its root mean square (RMS) goes from {first:.2f} to {last:.2f}. "
        "Each part still reads numbers of RMS 1, times the gain of its norm. This is pre-norm: the norm "
        "stands in front of the part, and the path from x to x stays free of it."
    )
    rows = [
        [w.before, w.attention, w.between, w.mlp, w.after, w.attention / w.before, w.mlp / w.between]
        for w in writes
    ]
    columns = (
        _("before"), _("+ attention"), _("between"), _("+ MLP"), _("after"),
        _("attention / stream"), _("MLP / stream"),
    )  # fmt: skip
    return [
        text.format(name=demo.name, C=demo.model.config.n_embd, n=2 * len(writes)),
        Grid(
            _("RMS of the stream and of what is added"),
            [_("block {n}").format(n=n) for n in range(len(writes))],
            columns,
            rows,
            shade=False,
        ),
        sizes.format(first=writes[0].before, last=last.after),
    ]


def _without(_: Translate, n: int, whole: Loss, losses: dict[tuple[int, str], Loss]) -> list[str | Grid]:
    names = _knockout_names(_)
    text = _(
        "The worth of a part is the loss without it. The model costs {loss:.3f} nats a token on {n:,} "
        "held-out tokens. The table changes one thing in one block, and shows the nats that this adds, with "
        "the standard error of the difference over texts. Nothing is trained again, so a number says how "
        "much this model relies on the part, not that no model can do without."
    )
    rows = [_("block {n}, {part}").format(n=block, part=names[key]) for block, key in losses]
    values = [[loss.added, loss.error] for loss in losses.values()]
    return [
        text.format(loss=whole.mean, n=n),
        Grid(_("nats added"), rows, (_("nats"), "±"), values, decimals=3, shade=False),
    ]


def _deep(_: Translate, stacks: dict[str, list[DeepStack]]) -> list[str | Grid]:
    names = _build_names(_)
    text = _(
        "Why a path around each part? Stack up to {most} blocks with random weights, and take the gradient "
        "at the input for a random gradient of the same size at the output. With path and norms it keeps "
        "its size, since the path hands it down unchanged and each part only adds to it. Without the path "
        "it is multiplied block after block, and differs by a factor of {broken:,.0f} from that of one "
        "block. With the path but without norms, each block sees larger numbers than the one below; soon "
        "they overflow, and the cells are empty."
    )
    rows = [f"L = {depth}" for depth in DEPTHS]
    logs = [[_log10(stack[at].gradient) for stack in stacks.values()] for at in range(len(DEPTHS))]
    ratio = stacks["norm"][-1].gradient / stacks["norm"][0].gradient
    return [
        text.format(most=DEPTHS[-1], broken=max(ratio, 1 / ratio)),
        Grid(
            _("L blocks: log₁₀ of the gradient at the input, of 1 at the output"),
            rows,
            [names[name] for name in stacks],
            logs,
            decimals=1,
            shade=False,
        ),
    ]


def _log10(value: float) -> float:
    return math.log10(value) if 0 < value < math.inf else math.nan


def _exact(_: Translate, writes: Sequence[Writes]) -> tuple[Finding, ...]:
    """Compare with what holds for every model: the stream is a sum, and a norm gives RMS 1."""
    slack = max(w.slack for w in writes)
    unit = max((w.unit for w in writes), key=lambda rms: abs(rms - 1))
    return (
        Finding.at_most(
            _("last state ↔ embedding + all that was written, in units of float rounding"),
            max(w.error for w in writes),
            1.0,
        ),
        Finding.near(_("RMS that a part reads, before the gain"), unit, 1.0, slack),
        Finding.at_most(
            _("a stream twice as large: change of what a part reads"),
            max(w.rescaled for w in writes),
            slack,
        ),
    )


def _costs(_: Translate, losses: dict[tuple[int, str], Loss]) -> list[Finding]:
    """Check that parts are worth more than the noise of measuring; no theory says how much."""
    names = _knockout_names(_)
    found = []
    for key in ("attention", "mlp", "path"):
        (block, _key), loss = max(
            ((place, loss) for place, loss in losses.items() if place[1] == key),
            key=lambda item: item[1].added,
        )
        name = _("nats added: block {n}, {part}").format(n=block, part=names[key])
        finding = Finding.at_least(name, loss.added, SIGMAS * loss.error)
        if finding.outcome != "ok":
            advice = _("no more than chance: this model hardly uses it")
            finding = Finding(name, finding.observed, finding.expected, "unclear", advice)
        found.append(finding)
    return found


def _depth(_: Translate, stacks: dict[str, list[DeepStack]]) -> tuple[Finding, ...]:
    """Compare deep stacks with one block."""
    steady, broken = stacks["both"], stacks["norm"]
    factor = steady[-1].gradient / steady[0].gradient
    lost = abs(math.log10(broken[-1].gradient / broken[0].gradient))
    deepest = steady[-1]
    n = DEPTHS[-1]
    return (
        Finding.near(
            _("{n} blocks: mean square of the stream / sum over all that was written").format(n=n),
            deepest.power / deepest.written,
            1.0,
            deepest.noise,
        ),
        Finding.at_most(
            _("{n} blocks with path and norms: |log₁₀| of the gradient's change").format(n=n),
            abs(math.log10(factor)),
            math.log10(STEADY),
        ),
        Finding.at_least(
            _("{n} blocks without the path: |log₁₀| of the gradient's change").format(n=n),
            lost,
            math.log10(BROKEN),
        ),
    )
