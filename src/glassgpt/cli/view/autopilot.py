"""The autopilot's choice for a run, and the outlook for several lengths, as tables and a plot."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.diagnose import row_title
from glassgpt.language import N_, _
from glassgpt.train import Choice, Decision, Forecast, Forecasted, Outlook, PlannedRun, Recipe
from glassgpt.units import count, short_number, short_span, span

LARGE = 5e8
"""Bytes of RAM that are worth a column."""
LABEL_SIZE = 11
"""Points of a label in the plot."""
NARROW = 0.03
"""An interval narrower than this, in nats, needs a third decimal."""
AXES = {
    N_("tokenizer"): lambda r: f"bpe {r.vocab_size:,}" if r.vocab_size else r.tokenizer,
    N_("size"): lambda r: f"{r.n_layer} × {r.n_embd}",
    N_("context"): lambda r: _("{n} tokens", n=r.block_size),
    N_("batch"): lambda r: _("{n} tokens", n=f"{r.batch} × {r.block_size}"),
    N_("rate"): lambda r: _("{rate:g} × default", rate=r.rate),
    N_("dropout"): lambda r: f"{r.dropout:g}",
    N_("weight decay"): lambda r: f"{r.weight_decay:g}",
    N_("architecture"): lambda r: _architecture(r),
}
"""Names of the axes of `Candidates`, and a recipe's value along each, in words."""


def _architecture(recipe: Recipe) -> str:
    if not recipe.ngram_rows:
        return recipe.preset
    dropped = _(", {share:.0%} dropped", share=recipe.ngram_dropout) if recipe.ngram_dropout else ""
    return _(
        "{preset} ({n} rows{dropped})", preset=recipe.preset, n=count(recipe.ngram_rows), dropped=dropped
    )


def in_words(event: Forecasted | Forecast) -> str:
    """Return a forecast with its interval.

    >>> in_words(Forecasted(step=90, nats_per_char=1.312, low=1.279, high=1.3481, progress=0.08))
    '1.31 (1.28 to 1.35)'
    """
    n = decimals(event)
    loss, low, high = (f"{value:.{n}f}" for value in (event.nats_per_char, event.low, event.high))
    return _("{loss} ({low} to {high})", loss=loss, low=low, high=high)


def decimals(event: Forecasted | Forecast) -> int:
    """Return the number of decimals that the interval of a forecast allows."""
    return 2 if event.high - event.low >= NARROW else 3


def choice_table(decision: Decision) -> Table:
    """Return the chosen settings, each with the forecast of its best alternative."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(_("setting"), no_wrap=True)
    choice = decision.choice
    others = decision.chooser.alternatives(choice, decision.length)
    if not any(others):
        small = decision.chooser.candidates.is_small
        table.add_column(_("choice, for a small text") if small else _("choice"), overflow="fold")
        for name, words in AXES.items():
            table.add_row(_(name), words(choice.recipe))
        return table
    table.add_column(_("choice"), overflow="fold")
    table.add_column(_("forecast with another"), overflow="fold", style="dim")
    for (name, words), along in zip(AXES.items(), others, strict=True):
        table.add_row(_(name), words(choice.recipe), _otherwise(name, along) or _("given"))
    return table


def _otherwise(name: str, along: list[Choice]) -> str:
    """Return the best two alternatives with their forecasts; "" where there are none."""
    return ", ".join(f"{AXES[name](each.recipe)}: {each.forecast.nats_per_char:.3f}" for each in along[:2])


def print_choice(console: Terminal, decision: Decision) -> None:
    """Print the autopilot's choice and its forecast, before a training."""
    console.table(choice_table(decision))
    choice = decision.choice
    others = [each for along in decision.chooser.alternatives(choice, decision.length) for each in along[:2]]
    if any(each.forecast.nats_per_char < choice.forecast.nats_per_char for each in others):
        console.print(
            _(
                "A lower forecast is not taken if it is less sure: few steps, a changed default for a small "
                "gain, or little dropout on a text that is read often."
            ),
            style="dim",
        )
    if not choice.has_forecast:
        reason = (
            _("the text is too short")
            if decision.chooser.candidates.is_small
            else _("about {n_steps} steps are too few", n_steps=choice.n_steps)
        )
        console.print(_("\nforecast   none: {reason}\n", reason=reason))
        return
    console.print(
        _(
            "\nforecast   {forecast} nats per held-out character after about {n_steps} steps, "
            "{epochs} passes over the text{place}\n",
            forecast=in_words(choice.forecast),
            n_steps=count(choice.n_steps),
            epochs=short_number(choice.epochs),
            place=_place(decision),
        )
    )


def _place(decision: Decision) -> str:
    """Return the best baseline that the forecast passes, as the end of a sentence."""
    loss = decision.choice.forecast.nats_per_char
    beaten = [score for score in decision.scores if score.nats_per_char > loss]
    if not beaten:
        return ""
    best = min(beaten, key=lambda score: score.nats_per_char)
    return _("; better than {baseline} ({loss:.2f})", baseline=row_title(best.name), loss=best.nats_per_char)


def print_outlook(outlook: Outlook, as_json: bool) -> None:
    """Print the plans for all lengths, and when more time stops helping."""
    if as_json:
        print_json(outlook.to_dict(), indent=1)
        return
    console = Terminal()
    console.table(outlook_table(outlook))
    console.print()
    for sentence in outlook.sentences():
        console.print(with_flags(sentence))
    for run in outlook.faster:
        loss = run.choice.forecast.nats_per_char
        console.print(
            _(
                "A machine {speed:g} times as fast reaches {loss:.3f} in {minutes}: {model}.",
                speed=run.speed,
                loss=loss,
                minutes=span(run.minutes),
                model=_model(run.choice.recipe),
            )
        )
    console.print(_("\nNothing was trained or written."), style="dim")


def outlook_table(outlook: Outlook) -> Table:
    """Return a table with a row for each length; early ends and RAM have columns if they matter."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    with_memory = any(run.memory_bytes >= LARGE for run in outlook.runs)
    numbers = (_("steps"), _("passes"), *([_("RAM")] if with_memory else []))
    with_forecast = any(run.choice.has_forecast for run in outlook.runs)
    last = [_("forecast (80 %)")] if with_forecast else []
    ends = [_("ends after")] if outlook.early_ends else []
    for name in (_("time"), *ends, _("tokenizer"), _("model"), *numbers, *last):
        justify = "right" if name in numbers else "left"
        table.add_column(name, justify=justify, no_wrap=name in numbers, overflow="fold")
    for run in outlook.runs:
        length, *cells = _cells(run, with_memory)[: None if with_forecast else -1]
        end = [short_span(run.ends) if run.ends is not None else ""] if ends else []
        table.add_row(length, *end, *cells)
    return table


def _cells(run: PlannedRun, with_memory: bool) -> tuple[str, ...]:
    choice, recipe = run.choice, run.choice.recipe
    return (
        short_span(run.minutes),
        AXES["tokenizer"](recipe),
        _model(recipe),
        count(choice.n_steps),
        short_number(choice.epochs),
        *([f"{run.memory_bytes / 1e9:.1f} GB"] if with_memory else []),
        in_words(choice.forecast) if choice.has_forecast else "",
    )


def _model(recipe: Recipe) -> str:
    return f"{recipe.preset} {recipe.n_layer} × {recipe.n_embd}"


def save_plot(outlook: Outlook, path: Path) -> None:
    """Draw the forecast by minutes with its interval, and baselines as level lines with their names."""
    from glassgpt.plots import Level, label_levels, lines, save

    minutes = [m for m, _ in outlook.curve]
    forecasts = [choice.forecast for _, choice in outlook.curve]
    shown = [score for score in outlook.scores if score.kind in ("ngram", "compressor")]
    levels = {
        _(row_title(score.name)): score.nats_per_char
        for score in shown
        if score.name not in ("unigram", "bigram")
    }
    plot = lines(
        {_("forecast"): (minutes, [each.nats_per_char for each in forecasts])},
        bands={_("forecast"): ([each.low for each in forecasts], [each.high for each in forecasts])},
        expected={name: ([1.0], [loss]) for name, loss in levels.items()},
        x_title=_("minutes on this machine"),
        y_title=_("nats per held-out character"),
        title=_("Forecast, with its 80 % interval"),
        log_x=True,
    )
    (axes,) = plot.axes
    axes.get_legend().remove()  # pyright: ignore[reportOptionalMemberAccess]
    named = [Level(loss, f"{name} {loss:.2f}", "dimgray") for name, loss in levels.items()]
    label_levels(axes, named, LABEL_SIZE, axes.get_position().height * plot.get_figheight())
    save(plot, path)
