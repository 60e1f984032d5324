"""Alignment of a translation: the source token with the most weight, for each target token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glassgpt.plots.cells import Values
from glassgpt.plots.heat import heat_map
from glassgpt.plots.numbers import Numbers, array
from glassgpt.plots.style import Plot


def alignment_map(
    weights: Numbers,
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str = "",
    source_title: str = "",
    target_title: str = "",
    bar_title: str = "",
    axes: Axes | None = None,
) -> Plot:
    """Draw cross-attention as a heat map: target tokens as rows, source tokens as columns.

    weights: (T, S), each row summing to 1, white to dark for 0 to 1. A frame marks the largest weight of each
    row. `bipartite_graph` draws the same with arrows. Raises UserError if shapes and labels do not match.
    """
    values = array(weights, (2,), "weights")
    return heat_map(
        values,
        target,
        source,
        title=title,
        row_title=target_title,
        column_title=source_title,
        bar_title=bar_title,
        marked=heaviest(values),
        limits=(0.0, 1.0),
        axes=axes,
    )


def heaviest(values: Values) -> NDArray[np.bool_]:
    """Return (T, S), True at the first largest number of each row; rows without numbers have none.

    >>> heaviest(np.array([[0.2, 0.8], [np.nan, np.nan]])).tolist()
    [[False, True], [False, False]]
    """
    filled = np.where(np.isfinite(values), values, -np.inf)
    marked = np.zeros(values.shape, dtype=bool)
    marked[np.arange(len(values)), filled.argmax(axis=1)] = True
    return marked & np.isfinite(values)
