"""The autopilot's choice for a run, and the outlook for several lengths, as tables and a plot."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.train import Choice, Decision, Forecast, Forecasted, Outlook, PlannedRun, Recipe
from glassgpt.units import count, span

NARROW = 0.03
"""An interval narrower than this, in nats, needs a third decimal."""
AXES = {
    "tokenizer": lambda r: f"bpe {r.vocab_size:,}" if r.vocab_size else r.tokenizer,
    "size": lambda r: f"{r.n_layer} × {r.n_embd}",
    "context": lambda r: f"{r.block_size} tokens",
    "batch": lambda r: f"{r.batch} × {r.block_size} tokens",
    "rate": lambda r: f"{r.rate:g} × default",
    "dropout": lambda r: f"{r.dropout:g}",
    "weight decay": lambda r: f"{r.weight_decay:g}",
    "architecture": lambda r: _architecture(r),
}
"""Names of the axes of `Candidates`, and a recipe's value along each, in words."""


def _architecture(recipe: Recipe) -> str:
    if not recipe.ngram_rows:
        return recipe.preset
    dropped = f", {recipe.ngram_dropout:.0%} dropped" if recipe.ngram_dropout else ""
    return f"{recipe.preset} ({count(recipe.ngram_rows)} rows{dropped})"


def in_words(event: Forecasted | Forecast) -> str:
    """Return a forecast with its interval.

    >>> in_words(Forecasted(step=90, nats_per_char=1.312, low=1.279, high=1.3481, progress=0.08))
    '1.31 (1.28 to 1.35)'
    """
    n = decimals(event)
    return f"{event.nats_per_char:.{n}f} ({event.low:.{n}f} to {event.high:.{n}f})"


def decimals(event: Forecasted | Forecast) -> int:
    """Return the number of decimals that the interval of a forecast allows."""
    return 2 if event.high - event.low >= NARROW else 3


def choice_table(decision: Decision) -> Table:
    """Return the chosen settings, each with the forecast of its best alternative."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("setting", no_wrap=True)
    table.add_column("choice", overflow="fold")
    table.add_column("forecast otherwise", overflow="fold", style="dim")
    choice = decision.choice
    others = decision.chooser.alternatives(choice, decision.length)
    for (name, words), along in zip(AXES.items(), others, strict=True):
        table.add_row(name, words(choice.recipe), _otherwise(name, along))
    return table


def _otherwise(name: str, along: list[Choice]) -> str:
    """Return the best two alternatives with their forecasts; "given" where there are none."""
    if not along:
        return "given"
    return ", ".join(f"{AXES[name](each.recipe)}: {each.forecast.nats_per_char:.3f}" for each in along[:2])


def print_choice(console: Terminal, decision: Decision) -> None:
    """Print the autopilot's choice and its forecast, before a training."""
    console.table(choice_table(decision))
    choice = decision.choice
    console.print(
        f"\nforecast   {in_words(choice.forecast)} nats per held-out character after about "
        f"{count(choice.n_steps)} steps, {choice.epochs:.2g} passes over the text{_place(decision)}\n"
    )


def _place(decision: Decision) -> str:
    """Return the best baseline that the forecast passes, as the end of a sentence."""
    loss = decision.choice.forecast.nats_per_char
    beaten = [score for score in decision.scores if score.nats_per_char > loss]
    if not beaten:
        return ""
    best = min(beaten, key=lambda score: score.nats_per_char)
    return f"; better than {best.name} ({best.nats_per_char:.2f})"


def print_outlook(outlook: Outlook, as_json: bool) -> None:
    """Print the plans for all lengths, and when more time stops helping."""
    if as_json:
        print_json(outlook.to_dict(), indent=1)
        return
    console = Terminal()
    console.table(outlook_table(outlook))
    console.print()
    for sentence in outlook.sentences():
        console.print(sentence)
    for run in outlook.faster:
        loss = run.choice.forecast.nats_per_char
        console.print(
            f"A machine {run.speed:g} times as fast reaches {loss:.3f} in {span(run.minutes)}: "
            f"{_model(run.choice.recipe)}."
        )
    console.print("\nNothing was trained or written.", style="dim")


def outlook_table(outlook: Outlook) -> Table:
    """Return a table with a row for each length."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("time", "tokenizer", "model", "context", "steps", "passes", "RAM", "forecast (80 %)"):
        right = name in ("context", "steps", "passes", "RAM")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "model")
    for run in outlook.runs:
        table.add_row(*_cells(run))
    return table


def _cells(run: PlannedRun) -> tuple[str, ...]:
    choice, recipe = run.choice, run.choice.recipe
    return (
        span(run.minutes),
        AXES["tokenizer"](recipe),
        _model(recipe),
        str(recipe.block_size),
        count(choice.n_steps),
        f"{choice.epochs:.2g}",
        f"{run.memory_bytes / 1e9:.1f} GB",
        in_words(choice.forecast),
    )


def _model(recipe: Recipe) -> str:
    return f"{recipe.preset} {recipe.n_layer} × {recipe.n_embd}"


def save_plot(outlook: Outlook, path: Path) -> None:
    """Draw the forecast by minutes with its interval, and baselines as level lines with their names."""
    from glassgpt.plots import lines, save

    minutes = [m for m, _ in outlook.curve]
    forecasts = [choice.forecast for _, choice in outlook.curve]
    shown = [score for score in outlook.scores if score.kind in ("ngram", "compressor")]
    levels = {score.name: score.nats_per_char for score in shown if score.name not in ("unigram", "bigram")}
    plot = lines(
        {"forecast": (minutes, [each.nats_per_char for each in forecasts])},
        bands={"forecast": ([each.low for each in forecasts], [each.high for each in forecasts])},
        expected={name: ([1.0], [loss]) for name, loss in levels.items()},
        x_title="minutes on this machine",
        y_title="nats per held-out character",
        title="Forecast, with its 80 % interval",
        log_x=True,
    )
    (axes,) = plot.axes
    axes.get_legend().remove()  # pyright: ignore[reportOptionalMemberAccess]
    for name, loss in levels.items():
        axes.text(minutes[0], loss, f"{name} {loss:.2f}", ha="left", va="bottom", fontsize=11)
    save(plot, path)
