"""Samples through training, with the passages that stand in the training text marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glassgpt.checkpoint import Run, RunCurve
from glassgpt.diagnose import CopiedSpan, Copying, span_source
from glassgpt.errors import UserError
from glassgpt.language import _
from glassgpt.reports.blocks import Block, Passage, Piece, Prose, Section
from glassgpt.safe_io import MAX_JSON, read_capped
from glassgpt.tasks import CopyingMeter, copying_cost, has_index

MAX_SAMPLES = 4
"""Samples that are shown: the first, the last, and some between."""
MAX_CHARS = 1_200
MAX_COPIED_S = 1.0
"""A copying index that takes longer is not made for a report; one that is there is used."""


def samples_section(run: Run, curve: RunCurve) -> Section | None:
    """Return samples of several steps; None for a run without samples."""
    files = sorted(run.samples.glob("step-*.txt")) if run.samples.is_dir() else []
    if not files:
        return None
    losses = {point.steps: point.loss for point in curve.held_out}
    meter, problem = _meter(run)
    blocks: list[Block] = []
    for file in _chosen(files):
        text = read_capped(file, MAX_JSON).decode("utf-8", "replace")[:MAX_CHARS]
        step = int(file.stem.removeprefix("step-"))
        title = _("step {step:,}", step=step)
        if step in losses:
            title = _("step {step:,}, held-out loss {loss:.3f}", step=step, loss=losses[step])
        found = meter.measure(text) if meter and text else None
        remark = _remark(found) if found else ""
        blocks.append(Passage(title, list(_pieces(text, found)), remark))
    if problem:
        blocks.append(Prose(_("Copied passages are not marked: {problem}", problem=problem), "faint"))
    elif meter:
        about = _("Marked passages of 32 or more characters stand word for word in the training text.")
        blocks.insert(0, Prose(about, "faint"))
    return Section("samples", _("Samples through training"), blocks)


def _meter(run: Run) -> tuple[CopyingMeter | None, str]:
    """Return the copying meter of a run, or why there is none."""
    if run.config().task != "language":
        return None, ""
    try:
        tokenizer = run.tokenizer()
        if not has_index(run) and copying_cost(run, tokenizer).seconds > MAX_COPIED_S:
            return None, _("the text is large. `glassgpt copying` makes its index once.")
        return CopyingMeter.open(run, tokenizer), ""
    except UserError as error:
        return None, str(error)


def _remark(found: Copying) -> str:
    """Return the copying score of a sample in a line, next to that of held-out text."""
    if not found.held_out:
        return _("longest copied passage: {n} characters", n=found.score.longest)
    lengths = [score.longest for score in found.held_out]
    return _(
        "longest copied passage: {n} characters, in held-out text of this length {low} to {high}",
        n=found.score.longest,
        low=min(lengths),
        high=max(lengths),
    )


def _chosen(files: list[Path]) -> list[Path]:
    """Return some of the samples, evenly spread, the first and the last included."""
    n = min(len(files), MAX_SAMPLES)
    return [files[round(i * (len(files) - 1) / max(1, n - 1))] for i in range(n)]


def _pieces(text: str, found: Copying | None) -> Iterator[Piece]:
    at = 0
    for span in found.spans if found else ():
        start = max(at, span.start)
        if span.stop > start:
            yield Piece(text[at:start])
            yield Piece(text[start : span.stop], True, _source(span))
            at = span.stop
    yield Piece(text[at:])


def _source(span: CopiedSpan) -> str:
    return _(span_source(span))
