"""Attention of the clearest head on a held-out example, as SVG, and the image of a captioner."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from glassgpt.checkpoint import Run, has_examples, run_examples, run_tokens
from glassgpt.language import _
from glassgpt.lens import Trace, clearest_head, trace, visible_label
from glassgpt.reports.blocks import Block, Figure, Prose, Section

MAX_TOKENS = 14
"""Tokens of a running text that are looked at."""
MAX_LABELS = 40
"""Rows and columns of a map."""
LABEL = 9
"""Characters of a label that are shown."""


def inside_section(run: Run) -> Section | None:
    """Return the attention of the clearest head on a held-out example; None for a model without attention."""
    config = run.config()
    if config.model.family == "bigram":
        return None
    found, example = _traced(run)
    kind = "cross" if "cross" in found.kinds else next(iter(found.kinds))
    layer, head = clearest_head(found, kind)
    path = found.attention(layer, kind)
    weights = found.weights(layer, head, kind).numpy()  # (T, S)
    rows, columns = found.labels(path)
    blocks: list[Block] = [Prose(_("Held-out example: {example}", example=example))]
    if found.image is not None:
        blocks.append(Figure(*_over_image(found, weights), _("The image, and where the answer looks.")))
        rows, weights = rows[:MAX_LABELS], weights[:MAX_LABELS]
    else:
        cut = slice(0, MAX_LABELS)
        drawing = weights_map(weights[cut, cut], rows[cut], columns[cut])
        blocks.append(Figure(drawing, drawing, _caption(kind, layer, head)))
    if found.answer:
        answer = "".join(token for token in found.answer if token not in run.tokenizer().specials)
        blocks.append(Prose(_("Its answer: {answer}", answer=answer)))
    return Section("inside", _("Inside the model"), blocks)


def _caption(kind: str, layer: int, head: int) -> str:
    if kind == "cross":
        return _(
            "Alignment: each row is a token of the answer, each column a token of the source. Layer {layer}, "
            "head {head}, the clearest; the stronger the color, the more weight.",
            layer=layer,
            head=head,
        )
    return _(
        "Attention: each row is a token, and its cells say which tokens it looks at. Layer {layer}, "
        "head {head}, the clearest; the stronger the color, the more weight.",
        layer=layer,
        head=head,
    )


def _traced(run: Run) -> tuple[Trace, str]:
    """Return the trace of the first held-out example, and the example in words."""
    model, tokenizer = run.model(), run.tokenizer()
    family = model.config.family
    if not has_examples(run):
        ids = run_tokens(run, tokenizer.n_vocab).val.ids[:MAX_TOKENS].astype(np.int64)
        text = tokenizer.decode(ids)
        return trace(model, tokenizer, text), text
    split = run_examples(run, tokenizer.n_vocab).val
    if family == "captioner" and split.images is not None and split.image is not None:
        text = tokenizer.decode(split.text[0][: int(split.n_prompt[0])])
        return trace(model, tokenizer, text, image=split.images[int(split.image[0])]), text
    ids = split.source[0] if len(split.source.ids) else split.text[0]
    limit = MAX_LABELS if family == "seq2seq" else MAX_TOKENS
    text = tokenizer.decode(ids[:limit] if family != "seq2seq" else ids)
    return trace(model, tokenizer, text), text


def weights_map(weights: np.ndarray, rows: Sequence[str], columns: Sequence[str], cell: int = 20) -> str:
    """Return weights (T, S) from 0 to 1 as SVG, with labels; cells of no weight are left out."""
    left, top = 78, 78
    width, height = left + cell * len(columns) + 8, top + cell * len(rows) + 8
    title = escape(_("weights of {n} rows and {m} columns", n=len(rows), m=len(columns)))
    parts = "".join(_cells(weights, rows, columns, left, top, cell))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg class="map" {size} role="img" aria-label="{title}">{parts}</svg>'


def _cells(
    weights: np.ndarray, rows: Sequence[str], columns: Sequence[str], left: int, top: int, cell: int
) -> Iterator[str]:
    for i, label in enumerate(rows):
        y = top + cell * i
        yield f'<text x="{left - 6}" y="{y + 14}" text-anchor="end">{escape(_cut(label))}</text>'
    for j, label in enumerate(columns):
        x = left + cell * j + 13
        yield f'<text transform="translate({x} {top - 6}) rotate(-60)">{escape(_cut(label))}</text>'
    for (i, j), weight in np.ndenumerate(weights):
        share = round(float(weight), 2)
        if share > 0:
            x, y = left + cell * j, top + cell * i
            yield (
                f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill-opacity="{share:g}">'
                f"<title>{share:.0%}</title></rect>"
            )


def _cut(label: str) -> str:
    return visible_label(label, LABEL)


def _over_image(found: Trace, weights: np.ndarray) -> tuple[str, str]:
    """Return the image with a frame on each patch, by its weight for the answer's first token."""
    assert found.image is not None
    pixels = found.image.numpy()  # (channels, H, W)
    at = max(found.n_prompt - 1, 0)
    row = weights[at]
    n = round(len(row) ** 0.5)
    side = 320 / n
    data = base64.b64encode(png(pixels)).decode()
    parts = [f'<image href="data:image/png;base64,{data}" width="320" height="320"/>']
    for i, weight in enumerate(row):
        share = round(float(weight) / max(float(row.max()), 1e-9), 2)
        x, y = side * (i % n) + 1, side * (i // n) + 1
        if share > 0.05:
            parts.append(
                f'<rect class="patch" x="{x:.1f}" y="{y:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" '
                f'stroke-opacity="{share:g}"><title>{float(weight):.0%}</title></rect>'
            )
    title = escape(_("the image with the patches that the answer looks at"))
    drawing = f'<svg viewBox="0 0 320 320" width="320" role="img" aria-label="{title}">{"".join(parts)}</svg>'
    return drawing, drawing


def png(pixels: np.ndarray) -> bytes:
    """Return pixels, (channels, H, W) of uint8, as a PNG: gray for one channel, else RGB."""
    channels, height, width = pixels.shape
    kind = 0 if channels == 1 else 2
    lines = pixels.transpose(1, 2, 0).reshape(height, width * channels)
    data = b"".join(b"\0" + line.tobytes() for line in lines)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b"")
    )
