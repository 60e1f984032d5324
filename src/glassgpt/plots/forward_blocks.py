"""Blocks of `plot_forward`: the first and the last one, with what attention and MLP read and add."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from glassgpt.language import _
from glassgpt.plots.cells import inches
from glassgpt.plots.forward_stack import Stack, fitting
from glassgpt.plots.labels import broken_lines
from glassgpt.plots.slide import BODY, LINE_HEIGHT, SMALLEST, Box, Canvas

BODY_TOP = 0.86
"""Place of what lies below the stream, from the top of a row, inches."""
BETWEEN = 0.2
LINE = SMALLEST * LINE_HEIGHT
PAD = 0.09
MOST_HEADS = 4
SMALLEST_MAP = 0.15
"""Height of a head, at least, inches."""
SPACE = 0.08
"""Between heads, inches."""
SUM = 0.17
"""Distance of a sum from the right edge of its part, inches."""
READER = 0.4
"""Distance of the memory's arrow from that edge, inches."""
TINTS = {"attn": 1, "cross_attn": 3, "mlp": 2}
WIDTHS = {"attn": 1.0, "cross_attn": 1.08, "mlp": 0.74}
"""Widths of the parts of a block, relative."""


def draw_blocks(canvas: Canvas, stack: Stack, box: Box, y: float) -> list[tuple[float, float]]:
    """Draw the first and the last block, and say how many lie between. Return the readers of the memory."""
    hidden = stack.n_layer - len(stack.shown)
    gap = 0.85 if hidden else BETWEEN
    width = min((box.width - gap * (len(stack.shown) - 1)) / len(stack.shown), 0.62 * box.width)
    readers = []
    for at, layer in enumerate(stack.shown):
        panel = Box(box.left + at * (width + gap), box.top, width, box.height)
        readers += _draw_block(canvas, stack, layer, panel, y)
    if hidden:
        x = box.left + width + gap / 2
        words = _("{n} more blocks", n=hidden) if hidden > 1 else _("1 more block")
        for at, line in enumerate(broken_lines(words, gap - 0.1, SMALLEST)):
            canvas.text(x, y + 0.3 + at * LINE, line, SMALLEST)
    return readers


def _draw_block(canvas: Canvas, stack: Stack, layer: int, box: Box, y: float) -> list[tuple[float, float]]:
    path = f"blocks.{layer}."
    canvas.text(box.left, box.top + 0.1, _("block {n}", n=layer), BODY, ha="left")
    parts = [part for part in WIDTHS if stack.has(f"{path}{part}.out")]
    before_mlp = "resid_cross" if "cross_attn" in parts else "resid_mid"
    states = {"attn": "resid_pre", "cross_attn": "resid_mid", "mlp": before_mlp}
    unit = (box.width - 0.12 * (len(parts) - 1)) / sum(WIDTHS[part] for part in parts)
    left, top, readers = box.left, box.top + BODY_TOP, []
    for part in parts:
        place = Box(left, top, unit * WIDTHS[part], box.bottom - top)
        canvas.text(
            left,
            y - 0.19,
            fitting_numbers(stack, path + states[part], place.width - 0.5),
            SMALLEST,
            ha="left",
        )
        _draw_part(canvas, stack, path + part, place, y)
        readers += [(place.right - READER, top)] if part == "cross_attn" else []
        left = place.right + 0.12
    return readers


def _draw_part(canvas: Canvas, stack: Stack, path: str, box: Box, y: float) -> None:
    """Draw attention or MLP: from the stream through the norm, and back into the sum."""
    part = path.rsplit(".", 1)[1]
    tint = canvas.color(TINTS[part])
    canvas.arrow((box.left + SUM, y), (box.left + SUM, box.top), tint)
    norm = _("norm")
    fits = inches([norm], SMALLEST) <= box.width - 2 * SUM - 0.2
    canvas.text(box.left + SUM + 0.07, (y + box.top) / 2 + 0.01, norm if fits else "", SMALLEST, ha="left")
    canvas.arrow((box.right - SUM, box.top), (box.right - SUM, y + 0.09), tint)
    ring = {"boxstyle": "circle,pad=0.05", "facecolor": canvas.ground, "edgecolor": tint, "linewidth": 1.4}
    canvas.text(box.right - SUM, y, "+", SMALLEST, bbox=ring, zorder=4)
    inner = Box(box.left + PAD, box.top + PAD / 2, box.width - 2 * PAD, box.height - PAD)
    after = [
        _("out {shape}", shape=stack.shape(f"{path}.out")),
        fitting_numbers(stack, f"{path}.out", inner.width),
    ]
    if part == "mlp":
        hidden = stack.config.hidden
        bottom = write_texts(
            canvas,
            inner,
            [*([] if fits else [f"{norm} →"]), _("MLP"), _("C → {hidden} → C", hidden=hidden), *after],
        )
    else:
        bottom = _draw_attention(canvas, stack, path, inner, after)
    frame = Box(box.left, box.top, box.width, bottom + PAD / 2 - box.top)
    canvas.rectangle(frame, fill=tint, alpha=0.1, zorder=0.1)
    canvas.rectangle(frame, edge=tint, linewidth=1.2)


def write_texts(canvas: Canvas, box: Box, texts: Sequence[str]) -> float:
    """Write paragraphs one below the other. Return the place below them."""
    top = box.top
    for words in texts:
        top = canvas.paragraph(box.left, top, words, box.width, SMALLEST)
    return top


def _height(texts: Sequence[str], width: float) -> float:
    return sum(len(broken_lines(words, width, SMALLEST)) for words in texts) * LINE


def _draw_attention(canvas: Canvas, stack: Stack, path: str, box: Box, after: list[str]) -> float:
    """Draw the texts of an attention module and its heads between them. Return the place below."""
    q, k = (stack.shape(f"{path}.{name}") for name in ("q", "k"))
    is_cross = path.endswith("cross_attn")
    same = [_("q, k, v {shape}", shape=q)]
    apart = [_("q {shape}", shape=q), _("k, v {shape}", shape=k)]
    above = [
        _("cross-attention") if is_cross else _("attention"),
        *(same if q == k and not is_cross else apart),
    ]
    shape = stack.shape(f"{path}.weights")
    weights = _("weights {shape}", shape=shape)
    below = [weights if inches([weights], SMALLEST) <= box.width else shape, *after]
    top = write_texts(canvas, box, above)
    room = box.bottom - top - _height(below, box.width)
    bottom = _draw_heads(canvas, stack, path, Box(box.left, top, box.width, room))
    return write_texts(canvas, Box(box.left, bottom, box.width, 0.0), below)


def _draw_heads(canvas: Canvas, stack: Stack, path: str, box: Box) -> float:
    """Draw small heat maps of up to four heads. Return the place below them."""
    weights = stack.tensor(f"{path}.weights").float()  # (H, T, S)
    masked = stack.tensor(f"{path}.masked_scores") == -torch.inf
    shown = weights.masked_fill(masked, torch.nan)[:MOST_HEADS]
    ratio = float(np.clip(weights.shape[1] / weights.shape[2], 0.4, 2.5))
    count = len(shown)

    def width_of(across: int) -> float:
        down = math.ceil(count / across)
        wide = (box.width - (across - 1) * SPACE) / across
        tall = (box.height - 0.1 - (down - 1) * SPACE) / down
        return min(wide, tall / ratio)

    across = max(range(1, count + 1), key=width_of)
    width = width_of(across)
    height = width * ratio
    if height < SMALLEST_MAP:
        return box.top
    for at, values in enumerate(shown):
        row, column = divmod(at, across)
        corner = (box.left + column * (width + SPACE), box.top + 0.05 + row * (height + SPACE))
        cell = (width / values.shape[1], height / values.shape[0])
        canvas.matrix(values, *corner, cell, decimals=None, limits=(0.0, 1.0))
    return box.top + 0.1 + math.ceil(count / across) * (height + SPACE) - SPACE


def fitting_numbers(stack: Stack, name: str, room: float) -> str:
    """Return as many numbers of an activation as fit."""
    texts = stack.numbers(name)
    fits = (n for n in range(len(texts), 0, -1) if inches([fitting(texts, n)], SMALLEST) <= room)
    return fitting(texts, next(fits, 1))
