"""`glassgpt look --ablate`: the effect of each head, as a table and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import Run
from glassgpt.cli.view.counted import counted
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.errors import UserError
from glassgpt.hooks import n_heads
from glassgpt.language import _
from glassgpt.lens import LOSS, Ablation, Figures, ablate, held_out_figures, most_important_head
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer


def show_ablation(run: Run, model: Model, tokenizer: Tokenizer, as_json: bool) -> None:
    """Print the figures with all heads, and without each head. Raises UserError without heads."""
    total = 1 + sum(n_heads(model).values())
    with counted(_("measuring with all heads, then without each one"), total) as step:
        measure = held_out_figures(run, model, tokenizer)

        def measured() -> Figures:
            figures = measure()
            step()
            return figures

        whole, found = measured(), ablate(model, measured)
    if not found:
        raise UserError(
            "{path}: a {family} has no heads to switch off. Use a model with attention.",
            path=run.path,
            family=model.config.family,
        )
    if as_json:
        rows = [{"attention": a.attention, "head": a.head, **a.figures} for a in found]
        print_json({"all heads": dict(whole), "without": rows}, indent=1)
        return
    console = Terminal()
    console.table(_table(whole, found))
    shares = _("; shares in points") if len(whole) > 1 else ""
    console.print(
        _(
            "\nOn a part of the held-out data, each token after the correct tokens before it{shares}.",
            shares=shares,
        ),
        style="dim",
    )
    console.print(_(most_important_head(whole, found).advice))


def _table(whole: Figures, found: Sequence[Ablation]) -> Table:
    names = [name for name in whole if name != LOSS]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(_("without"), no_wrap=True)
    for name in (_("head"), _(LOSS), *map(_, names)):
        table.add_column(name, justify="right")
    table.add_row(_("(all heads on)"), "", f"{whole[LOSS]:.3f}", *(f"{whole[n]:.1%}" for n in names))
    before = ""
    for each in found:
        name, before = "" if each.attention == before else each.attention, each.attention
        more = each.figures[LOSS] - whole[LOSS]
        losses = Text("·", "dim") if abs(more) < 0.0005 else Text(f"{more:+.3f}", "red" if more > 0.1 else "")
        table.add_row(name, str(each.head), losses, *(_drop(each.figures[n] - whole[n]) for n in names))
    return table


def _drop(change: float) -> Text:
    """Return a change of a share in percentage points."""
    if change > -0.005:
        return Text("·", "dim")
    return Text(f"−{-100 * change:.0f}", "bold red" if change < -0.3 else "red" if change < -0.05 else "")
