"""The whole forward pass of a trace on one slide: tokens, blocks with their heads, and the prediction."""

from __future__ import annotations

from glassgpt.errors import UserError
from glassgpt.language import _
from glassgpt.lens import Trace, visible_label
from glassgpt.plots.forward_row import ROW_GAP, Ends, draw_row
from glassgpt.plots.forward_stack import Stack, predicting, stacks_of
from glassgpt.plots.slide import HEIGHT, MARGIN, SMALLEST, WIDTH, Box, Canvas
from glassgpt.plots.style import Plot, drawing

TOP = 1.08
"""Below the title and the line under it, inches."""
TALLEST = 4.9
"""Height of a row, at most, inches."""
MEMORY = 3
"""Color of cross-attention and its memory."""
MARKERS = ("<bos>", "<sep>", "<eos>")
"""Tokens that are not quoted."""
QUOTED = 40
"""Columns of a quoted text."""


@drawing
def plot_forward(trace: Trace) -> Plot:
    """Draw a forward pass from tokens to probabilities, with shapes (B, T, C) and numbers at each step.

    An encoder has a row of its own above the decoder. Of many blocks, the first and the last are drawn, and
    the slide says how many lie between. Raises UserError for a trace without all activations.
    """
    _check(trace)
    stacks = stacks_of(trace)
    canvas = Canvas(_("A forward pass: {text} → {next}", text=_quoted(_given(trace)), next=_outcome(trace)))
    canvas.text(WIDTH / 2, 0.85, _legend(stacks), SMALLEST, room=WIDTH - 2 * MARGIN)
    boxes = _boxes(stacks)
    rows = [draw_row(canvas, stack, box) for stack, box in zip(stacks, boxes, strict=True)]
    if len(rows) > 1:
        _draw_memory(canvas, boxes[0].bottom + ROW_GAP / 2, *rows)
    return canvas.plot


def _draw_memory(canvas: Canvas, y: float, encoder: Ends, decoder: Ends) -> None:
    """Draw the way of the memory to each cross-attention, along the gap between the rows."""
    assert encoder.memory is not None
    x, top = encoder.memory
    left = min(at for at, _top in decoder.readers)
    canvas.line([x, x, left], [top, y, y], color=canvas.color(MEMORY), linewidth=1.8)
    for at, below in decoder.readers:
        canvas.arrow((at, y), (at, below), canvas.color(MEMORY))


def _check(trace: Trace) -> None:
    n_layer = trace.config.get("n_layer", 0) if trace.config.get("family") != "bigram" else 0
    needed = ["logits", *(f"blocks.{layer}.resid_post" for layer in range(n_layer))]
    if not trace.config or not trace.predictions or any(name not in trace.tensors for name in needed):
        raise UserError("there is no whole forward pass in this trace. Record it again, with all names.")


def _boxes(stacks: list[Stack]) -> list[Box]:
    """Return a row for each stack: the one with cross-attention is taller."""
    width, height = WIDTH - 2 * MARGIN, HEIGHT - TOP - MARGIN / 2
    if len(stacks) == 1:
        tall = min(height, TALLEST)
        return [Box(MARGIN, TOP + (height - tall) / 3, width, tall)]
    upper = 0.43 * (height - ROW_GAP)
    lower = height - ROW_GAP - upper
    return [Box(MARGIN, TOP, width, upper), Box(MARGIN, TOP + upper + ROW_GAP, width, lower)]


def _given(trace: Trace) -> str:
    """Return the text that the model was given."""
    prompt = trace.tokens[: trace.n_prompt] if trace.image is not None else trace.source or trace.tokens
    return "".join(token for token in prompt if token not in MARKERS)


def _outcome(trace: Trace) -> str:
    """Return the answer, or the most probable token or class."""
    answer = "".join(token for token in trace.answer if token not in MARKERS)
    return _quoted(answer if trace.source and answer else trace.predictions[predicting(trace)][0][0])


def _quoted(text: str) -> str:
    return f"“{visible_label(text, QUOTED)}”"


def _legend(stacks: list[Stack]) -> str:
    last = stacks[-1]
    if last.n_layer == 0:
        return _("Shapes are (B, T, V): {B} text, {T} tokens, {V} logits.", B=1, T=last.T, V=last.n_vocab)
    return _(
        "Shapes are (B, T, C): {B} text, T tokens, C = {C} numbers a token; in heads (B, H, T, D). Numbers "
        "are the first ones of the framed token.",
        B=1,
        C=last.C,
    )
