"""Which source token each token of a translation looks at most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glassgpt.plots.cells import Values
from glassgpt.plots.heat import heat_map
from glassgpt.plots.numbers import Numbers, array
from glassgpt.plots.style import Plot


def alignment(
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
    """A heat map with the target's tokens as rows, the source's as columns; the heaviest of each row is
    framed.

    weights: (T, S), each row summing to 1, white to dark for 0 to 1. For arrows give the same to
    `bipartite_graph`. Raises UserError where shapes and labels don't fit together.
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
    """(T, S), True at the greatest number of each row, the first of several; nowhere in a row that has
    none.

    >>> heaviest(np.array([[0.2, 0.8], [np.nan, np.nan]])).tolist()
    [[False, True], [False, False]]
    """
    filled = np.where(np.isfinite(values), values, -np.inf)
    marked = np.zeros(values.shape, dtype=bool)
    marked[np.arange(len(values)), filled.argmax(axis=1)] = True
    return marked & np.isfinite(values)
