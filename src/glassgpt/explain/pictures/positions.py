"""Slide of `positions`: the sinusoidal table, scores by distance, and a model with wrong positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Plot, bars, drawing, lines, slide_panels
from glassgpt.plots.colors import current


@drawing
def draw(
    _: Translate,
    table: Tensor,
    queries: Sequence[int],
    curves: Sequence[Sequence[Tensor]],
    costs: Mapping[str, tuple[float, float]],
) -> Plot:
    """Draw a table (n, C), scores by distance with RoPE and with a new table, and losses.

    curves: for RoPE and the table, a curve (distances,) for each query. costs: nats a token by positions,
    with the standard errors of the difference from the right ones.
    """
    plot, axes = slide_panels(4, down=2, title=_("Attention has no notion of space: positions must be added"))
    axes[0].imshow(table.T.numpy(), cmap=current().diverging, vmin=-1, vmax=1, aspect="auto")
    axes[0].set(title=_("sinusoidal table: −1 orange, 1 blue"), xlabel=_("position"), ylabel=_("component"))
    distances = list(range(len(curves[0][0])))
    titles = (
        _("RoPE: q · k by distance, the same at each place"),
        _("learned table, untrained: q · k by distance"),
    )
    for at, title in enumerate(titles):
        lines(
            {
                _("query at {n}").format(n=n): (distances, curve)
                for n, curve in zip(queries, curves[at], strict=True)
            },
            x_title=_("distance to the key, tokens"),
            title=title,
            axes=axes[1 + at],
        )
    for line, size in zip(axes[1].lines, (13, 9, 5), strict=True):  # all three show though they coincide
        line.set_markersize(size)
    bars(
        [*costs],
        {"": [nats for nats, _error in costs.values()]},
        errors={"": [error for _nats, error in costs.values()]},
        y_title=_("nats a token"),
        title=_("loss of a trained model with wrong positions"),
        axes=axes[3],
    )
    return plot
