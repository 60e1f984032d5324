"""`glassgpt look --ablate`: which head does what, as a table and a sentence."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import Run
from glassgpt.errors import UserError
from glassgpt.lens import EXACT, LOSS, Ablation, Figures, ablate, held_out_figures
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer


def show_ablation(run: Run, model: Model, tokenizer: Tokenizer, as_json: bool) -> None:
    """Measure with all heads, and with each one switched off; raises UserError where there are none."""
    measure = held_out_figures(run, model, tokenizer)
    whole, found = measure(), ablate(model, measure)
    if not found:
        raise UserError(f"{run.path} is a {model.config.family}: it has no heads to switch off")
    if as_json:
        rows = [{"attention": a.attention, "head": a.head, **a.figures} for a in found]
        print(json_format.dumps({"all heads": dict(whole), "without": rows}, indent=1))
        return
    console = Console()
    console.print(_table(whole, found))
    shares = "; shares in points" if len(whole) > 1 else ""
    console.print(
        f"\nOn a part of the held-out data, each token after the right ones before it{shares}.", style="dim"
    )
    console.print(_sentence(whole, found), highlight=False)


def _table(whole: Figures, found: Sequence[Ablation]) -> Table:
    names = [name for name in whole if name != LOSS]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("without", no_wrap=True)
    for name in ("head", LOSS, *names):
        table.add_column(name, justify="right")
    table.add_row("(all heads on)", "", f"{whole[LOSS]:.3f}", *(f"{whole[n]:.1%}" for n in names))
    before = ""
    for each in found:
        name, before = "" if each.attention == before else each.attention, each.attention
        more = each.figures[LOSS] - whole[LOSS]
        losses = Text("·", "dim") if abs(more) < 0.0005 else Text(f"{more:+.3f}", "red" if more > 0.1 else "")
        table.add_row(name, str(each.head), losses, *(_drop(each.figures[n] - whole[n]) for n in names))
    return table


def _drop(change: float) -> Text:
    """A change of a share, in percentage points."""
    if change > -0.005:
        return Text("·", "dim")
    return Text(f"−{-100 * change:.0f}", "bold red" if change < -0.3 else "red" if change < -0.05 else "")


def _sentence(whole: Figures, found: Sequence[Ablation]) -> str:
    """The head that does one thing and little else, where there is one; else the one missed most."""
    parts = [name for name in whole if name not in (LOSS, EXACT)]

    def drop(each: Ablation, part: str) -> float:
        return 100 * (whole[part] - each.figures[part])

    def others(each: Ablation, part: str) -> list[float]:
        return [drop(each, other) for other in parts if other != part]

    clear = [
        (drop(each, part), part, each)
        for each in found
        for part in parts
        if drop(each, part) >= 5 and max(others(each, part), default=0.0) <= drop(each, part) / 5
    ]
    if clear:
        points, part, each = max(clear, key=lambda found: found[0])
        rest = ", ".join(f"{other} {drop(each, other):.0f}" for other in parts if other != part)
        return (
            f"{each.attention} head {each.head} is there for “{part}”: without it {points:.0f} points fewer "
            f"are right ({rest})."
        )
    worst = max(found, key=lambda each: each.figures[LOSS])
    more = worst.figures[LOSS] - whole[LOSS]
    if more < 0.01:
        return "No single head is missed: what each does, others do too."
    return (
        f"Missed most is {worst.attention} head {worst.head}: without it the loss rises by {more:.2f} nats."
    )
