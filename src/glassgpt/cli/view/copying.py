"""Copied passages on the screen: underlined, with their places in the training text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.text import Text

from glassgpt.checkpoint import Run
from glassgpt.cli.view.terminal import Terminal, print_note, print_text, printable, working
from glassgpt.diagnose import Copying, span_source
from glassgpt.language import N_, _
from glassgpt.tasks import CopyingMeter, copying_cost, has_index
from glassgpt.units import data_size, span

LARGE_S = 5.0
"""An index that takes longer is announced with its cost."""
MAX_SPANS = 20
"""Passages in the list below a text."""
EXCERPT = 60


def open_meter(run: Run) -> CopyingMeter:
    """Open the copying meter of a run, and say beforehand what a large index costs."""
    tokenizer = run.tokenizer()
    if not has_index(run):
        cost = copying_cost(run, tokenizer)
        if cost.seconds > LARGE_S:
            print_note(
                _(
                    "the index of the training text takes up to {disk} of the disk, {ram} of RAM while it is "
                    "made, and about {time}",
                    disk=data_size(cost.disk_bytes),
                    ram=data_size(cost.ram_bytes),
                    time=span(cost.seconds / 60),
                )
            )
    with working(N_("searching the training text")):
        return CopyingMeter.open(run, tokenizer)


def print_copying(console: Terminal, found: Copying, before: str = "") -> None:
    """Print a text with its copied passages underlined, their places, and the score.

    before: a text to print before it, which was not measured.
    """
    if console.is_terminal:
        text = Text(printable(before), style="bold")
        text.append(printable(found.text), style="not bold")
        for each in found.spans:
            text.stylize("underline", len(before) + each.start, len(before) + each.stop)
        console.print(text, soft_wrap=True)
    else:
        print_text(f"{before}{found.text}\n")
    console.print()
    for each in found.spans[:MAX_SPANS]:
        excerpt = " ".join(each.text.split())
        cut = f"{excerpt[:EXCERPT]}…" if len(excerpt) > EXCERPT else excerpt
        console.print(
            _(
                "  {n} characters, {source}: “{excerpt}”",
                n=len(each),
                source=span_source(each) or N_("the training text"),
                excerpt=cut,
            )
        )
    if len(found.spans) > MAX_SPANS:
        console.print(_("  … and {n} more", n=len(found.spans) - MAX_SPANS))
    if found.spans:
        console.print()
    for sentence in found.sentences():
        console.print(_(sentence))


def copying_json(found: Copying) -> dict[str, Any]:
    """Return a measurement with its passages, ready for JSON."""
    passages = [asdict(each) for each in found.spans]
    return {**found.to_dict(), "ratio": found.ratio, "spans": passages, "phrases": len(found.phrases)}
