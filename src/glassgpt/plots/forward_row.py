"""One row of `plot_forward`: tokens, blocks, and the memory or the prediction that comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glassgpt.language import _
from glassgpt.lens import Trace, visible_label
from glassgpt.plots.forward_blocks import (
    BETWEEN,
    BODY_TOP,
    LINE,
    PAD,
    draw_blocks,
    fitting_numbers,
    write_texts,
)
from glassgpt.plots.forward_stack import Stack, predicting, written
from glassgpt.plots.labels import shortened
from glassgpt.plots.slide import BODY, HEADING, SMALLEST, Box, Canvas

STREAM = 0.58
"""Place of the stream, from the top of a row, inches."""
TOKENS, STRIP, END = 1.05, 0.84, 2.3
"""Widths: tokens with ids, their vectors, and what comes out, inches."""
ROW = 0.25
"""Height of a token, inches."""
COMPONENTS = 6
SPACIOUS = 3.0
"""Height of a row's body with room for one more line of numbers, inches."""
ROW_GAP = 0.3
"""Between encoder and decoder, for the memory, inches."""


@dataclass(frozen=True)
class Ends:
    """Ends of a row that the way of the memory joins."""

    memory: tuple[float, float] | None
    """Place where the memory of an encoder leaves."""
    readers: list[tuple[float, float]]
    """Places where cross-attention takes it."""


def draw_row(canvas: Canvas, stack: Stack, box: Box) -> Ends:
    """Draw one stack in a box, and return the places that a memory joins."""
    body = Box(box.left, box.top + BODY_TOP, box.width, box.height - BODY_TOP)
    y = box.top + STREAM
    canvas.text(box.left, box.top + 0.1, stack.name, HEADING, ha="left", room=TOKENS + STRIP)
    start = _draw_tokens(canvas, stack, body, y)
    end = Box(body.right - END, body.top, END, body.height)
    middle = Box(start + BETWEEN, box.top, end.left - start - 2 * BETWEEN, box.height)
    canvas.line([start, end.left + 0.3], [y, y], color=canvas.color(0), linewidth=1.8)
    canvas.arrow((end.left + 0.3, y), (end.left + 0.3, end.top), canvas.color(0))
    if stack.n_layer:
        readers = draw_blocks(canvas, stack, middle, y)
    else:
        readers = []
        _draw_table(canvas, stack, Box(middle.left, body.top, middle.width, body.height))
    bottom = _draw_end(canvas, stack, end, y)
    return Ends((end.left + 0.3, bottom) if stack.prefix else None, readers)


def _draw_tokens(canvas: Canvas, stack: Stack, body: Box, y: float) -> float:
    """Draw tokens, ids and the vectors that enter the first block. Return the right edge."""
    strip = body.left + TOKENS + 0.05
    notes = stack.sources() if stack.n_layer else []
    rows = _window(stack, int((body.height - len(notes) * LINE - 0.1) / ROW))
    first = "blocks.0.resid_pre" if stack.n_layer else "logits"
    bottom = body.top + len(rows) * ROW
    if stack.is_image:
        bottom = max(bottom, _draw_image(canvas, stack, body, y))
    else:
        canvas.text(body.left + TOKENS / 2, y, _("ids {shape}", shape=written(1, stack.T)), SMALLEST)
        _draw_labels(canvas, stack, body, rows)
    values = stack.tensor(first)[rows, :COMPONENTS]
    canvas.matrix(values, strip, body.top, (STRIP / COMPONENTS, ROW), decimals=None)
    if stack.row in rows:
        left = strip if stack.is_image else body.left
        frame = Box(left, body.top + rows.index(stack.row) * ROW, strip + STRIP - left, ROW)
        canvas.rectangle(frame, edge=canvas.mark, linewidth=2.0, zorder=3)
    canvas.text(strip + STRIP / 2, y - 0.19, stack.shape(first), SMALLEST)
    for at, note in enumerate(notes):
        canvas.text(strip + STRIP, bottom + 0.08 + (at + 0.5) * LINE, note, SMALLEST, ha="right")
    up = [strip + STRIP / 2, strip + STRIP / 2, strip + STRIP]
    canvas.line(up, [body.top, y, y], color=canvas.color(0), linewidth=1.8)
    return strip + STRIP


def _draw_image(canvas: Canvas, stack: Stack, body: Box, y: float) -> float:
    """Draw the image in place of tokens. Return the place below it."""
    image = stack.trace.image
    assert image is not None
    side = TOKENS - 0.1
    canvas.image(Box(body.left, body.top, side, side), image)
    canvas.text(body.left + side / 2, y, _("image"), SMALLEST)
    canvas.text(body.left + side / 2, body.top + side + LINE / 2, written(1, *image.shape), SMALLEST)
    return body.top + side + LINE


def _window(stack: Stack, most: int) -> list[int]:
    """Return the positions that are drawn: as many as fit, with the shown one among them."""
    start = max(0, min(stack.row - most // 2, stack.T - most))
    return list(range(start, min(start + most, stack.T)))


def _draw_labels(canvas: Canvas, stack: Stack, body: Box, rows: Sequence[int]) -> None:
    """Write each token and its id; dots where others follow or precede."""
    names = shortened([stack.labels[at] for at in rows], 0.55, SMALLEST)
    for place, (at, name) in enumerate(zip(rows, names, strict=True)):
        y = body.top + (place + 0.5) * ROW
        outer = (place == 0 and at > 0) or (place == len(rows) - 1 and at < stack.T - 1)
        canvas.text(body.left + 0.06, y, "⋮" if outer and at != stack.row else name, SMALLEST, ha="left")
        if at < len(stack.ids) and not (outer and at != stack.row):
            canvas.text(body.left + TOKENS - 0.06, y, str(stack.ids[at]), SMALLEST, ha="right")


def _draw_table(canvas: Canvas, stack: Stack, box: Box) -> None:
    """Say what a bigram does, with the logits of some rows of its table."""
    tint = canvas.color(1)
    canvas.rectangle(box, fill=tint, alpha=0.1)
    canvas.rectangle(box, edge=tint, linewidth=1.2)
    words = _(
        "Each token looks up its row in a table {shape}: the logits of the next token. No attention, no "
        "positions, no blocks.",
        shape=written(stack.n_vocab, stack.n_vocab),
    )
    top = canvas.paragraph(box.left + 2 * PAD, box.top + PAD, words, box.width - 4 * PAD, BODY)
    rows = _window(stack, int((box.bottom - top - 0.6) / ROW))
    cell = (box.width - 4 * PAD) / 40
    values = stack.tensor("logits")[rows, :40]
    canvas.matrix(values, box.left + 2 * PAD, top + 0.15, (cell, ROW), decimals=None)
    note = _("the first {n} of {V} logits of each token", n=values.shape[1], V=stack.n_vocab)
    canvas.text(box.left + 2 * PAD, top + 0.35 + len(rows) * ROW, note, SMALLEST, ha="left")


def _draw_end(canvas: Canvas, stack: Stack, box: Box, y: float) -> float:
    """Draw what follows the last block: a memory, or logits and probabilities. Return the frame's bottom."""
    if stack.n_layer:
        last = f"blocks.{stack.n_layer - 1}.resid_post"
        canvas.text(box.left, y - 0.19, fitting_numbers(stack, last, END), SMALLEST, ha="left")
    lines = _end_lines(stack, box.height > SPACIOUS)
    inner = Box(box.left + PAD, box.top + PAD / 2, box.width - 2 * PAD, box.height)
    bottom = write_texts(canvas, inner, lines) + PAD / 2
    frame = Box(box.left, box.top, box.width, bottom - box.top)
    canvas.rectangle(frame, fill=canvas.color(0), alpha=0.1, zorder=0.1)
    canvas.rectangle(frame, edge=canvas.color(0), linewidth=1.2)
    if not stack.prefix:
        _draw_predictions(
            canvas, stack.trace, Box(box.left, bottom + 0.08, box.width, box.bottom - bottom - 0.08)
        )
    return bottom


def _end_lines(stack: Stack, spacious: bool) -> list[str]:
    """Return the texts on the way from the last block to logits or a memory."""
    logits = _("logits {shape}", shape=stack.shape("logits")) if not stack.prefix else ""
    if not stack.n_layer:
        return [logits]
    numbers = [fitting_numbers(stack, "norm_f", END - 2 * PAD)]
    norm = [_("norm {shape}", shape=stack.shape("norm_f"))]
    if stack.prefix:
        return [*norm, *numbers, _("memory: keys and values for the decoder")]
    if stack.config.labels:
        return [*norm, *numbers, _("mean over tokens {shape}", shape=written(1, 1, stack.C)), logits]
    head = _("head {shape}", shape=written(stack.C, stack.n_vocab))
    return [*norm, *(numbers if spacious else []), head, logits]


def _draw_predictions(canvas: Canvas, trace: Trace, box: Box) -> None:
    """Draw the most probable tokens or classes as bars."""
    at = predicting(trace)
    canvas.text(box.left, box.top + LINE / 2, _softmax(trace, at), SMALLEST, ha="left", room=box.width)
    found = trace.predictions[at]
    row = min(0.32, (box.height - LINE) / len(found))
    names = shortened([name for name, _p in found], 0.75, SMALLEST)
    longest = box.width - 0.85 - 0.6
    for place, (name, (_label, p)) in enumerate(zip(names, found, strict=True)):
        y = box.top + LINE + (place + 0.5) * row
        canvas.text(box.left + 0.78, y, name, SMALLEST, ha="right")
        bar = Box(box.left + 0.85, y - 0.35 * row, max(longest * p, 0.01), 0.7 * row)
        canvas.rectangle(bar, fill=canvas.color(0))
        canvas.text(bar.right + 0.06, y, f"{p:.0%}", SMALLEST, ha="left")


def _softmax(trace: Trace, at: int) -> str:
    if trace.config.get("labels"):
        return _("softmax: the class")
    if "<mask>" in trace.tokens:
        return _("softmax: the token in the gap")
    return _("softmax: after “{token}”", token=visible_label(trace.tokens[at], 10))
