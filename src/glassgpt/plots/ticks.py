"""Logarithmic axes with plain numbers.

Matplotlib's labels need its math mode, which is off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from glassgpt.errors import UserError
from glassgpt.plots.cells import Values


def log_axes(axes: Axes, curves: Sequence[tuple[Values, Values]], log_x: bool, log_y: bool) -> None:
    """Make x, y or both logarithmic for curves (x, y).

    Raises UserError if no value is above 0.
    """
    for axis, wanted, number in ((axes.xaxis, log_x, 0), (axes.yaxis, log_y, 1)):
        if not wanted:
            continue
        every = np.concatenate([curve[number] for curve in curves] or [np.ones(1)])
        positive = every[np.isfinite(every) & (every > 0)]
        if not positive.size:
            raise UserError("a logarithmic axis: no value is above zero. Pass some, or use a linear axis.")
        (axes.set_xscale if number == 0 else axes.set_yscale)("log")
        _tick(axis, math.log10(positive.max() / positive.min()))


def _tick(axis: Axis, decades: float) -> None:
    """Set ticks at powers of ten, and between them if there are few powers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
    axis.set_minor_formatter(NullFormatter())


def power(value: float) -> str:
    """Return the label of a tick of a logarithmic axis.

    >>> power(0.02), power(5000), power(1e4), power(2e-5)
    ('0.02', '5000', '10⁴', '2·10⁻⁵')
    """
    if 1e-3 <= value < 1e4:
        return f"{value:.4g}"
    digits, exponent = f"{value:.0e}".split("e")
    tens = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return tens if digits == "1" else f"{digits}·{tens}"
