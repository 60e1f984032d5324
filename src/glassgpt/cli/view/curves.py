"""Final figures of learning curves: a line for each group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from glassgpt.checkpoint import Band, CurveGroup, Spread, XAxis
from glassgpt.cli.view.terminal import Terminal
from glassgpt.language import N_, _, join_texts, verbatim

HEADINGS = {"training": N_("training loss")}
"""Headings that differ from the names of the columns."""


def print_curves(groups: Sequence[CurveGroup]) -> None:
    """Print a table with a line for each curve, and the best baseline of each run."""
    console, rows = Terminal(), [_words(group) for group in groups]
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in names:
        left = name in ("run", "best counted")
        table.add_column(_(HEADINGS.get(name, name)), justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_(row[name]) for name in names))
    console.table(table)
    units = sorted({curve.summary.unit for group in groups for curve in group.curves})
    console.print(_("losses in {units}", units=join_texts(" or ", (N_(unit) for unit in units))), style="dim")
    if any(len(group.curves) > 1 for group in groups):
        console.print(_("mean ± standard deviation over the runs of a line"), style="dim")


def _words(group: CurveGroup) -> dict[str, str]:
    """Return the cells of a group; "" is unknown."""
    best = group.curves[0].summary
    exact, trained = group.spread("final_exact"), group.spread("last_training")
    return {
        "run": verbatim(group.label),
        "steps": _spread(group, "n_steps", ".0f"),
        "minutes": _spread(group, "minutes", ".2f"),
        "training": "" if trained is None else str(trained),
        "held out": _spread(group, "best_held_out", ".3f"),
        N_("verdict"): str(group.spread("final_loss") or "") if exact is None else _percent(exact),
        "best counted": best.counted,
    }


def _spread(group: CurveGroup, name: str, digits: str) -> str:
    found = group.spread(name)
    return "" if found is None else found.format(digits)


def _percent(share: Spread) -> str:
    return Spread(100 * share.mean, None if share.sd is None else 100 * share.sd).format(".1f", "%")


def curve_rows(groups: Sequence[CurveGroup], x: XAxis) -> list[dict[str, Any]]:
    """Return the curves and final figures of each group, ready for JSON."""
    return [
        {
            "label": group.label,
            "runs": [str(curve.summary.path) for curve in group.curves],
            "seeds": [curve.summary.seed for curve in group.curves],
            "final_loss": _row(group.spread("final_loss")),
            "final_exact": _row(group.spread("final_exact")),
            "best_held_out": _row(group.spread("best_held_out")),
            "x": x,
            "held_out": _points(group.held_out(x)),
            "training": _points(group.training(x)),
            "baselines": {row.name: row.nats_per_char for row in group.curves[0].baselines},
        }
        for group in groups
    ]


def _row(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else {"mean": spread.mean, "sd": spread.sd, "n": spread.n}


def _points(band: Band) -> list[list[float]]:
    """Return (x, mean, standard deviation) of each point."""
    return [[*map(float, point)] for point in zip(band.x, band.mean, band.sd, strict=True)]
