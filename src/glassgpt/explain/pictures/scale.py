"""Slide of `scale`: variance, largest weight and gradient by head size, and one softmax row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Plot, bars, drawing, lines, slide_panels

PLAIN, SCALED = "q · k", "q · k / √d"


@drawing
def draw(
    _: Translate,
    sizes: Sequence[int],
    curves: Mapping[str, Sequence[Sequence[float]]],
    scores: Tensor,
    d: int,
) -> Plot:
    """Draw curves by title, and the softmax of scores (S,), without and with scaling.

    curves: two lists by head size, without and with scaling; the first curves have a theory.
    """
    plot, axes = slide_panels(4, down=2, title=_("Divide by √d, and the softmax stays soft at any head size"))
    theory = {PLAIN: (sizes, sizes), SCALED: (sizes, [1.0] * len(sizes))}
    for at, (title, (plain, scaled)) in enumerate(curves.items()):
        lines(
            {PLAIN: (sizes, plain), SCALED: (sizes, scaled)},
            expected=theory if at == 0 else None,
            expected_title=_("expected") if at == 0 else "",
            x_title=_("head size d"),
            title=title,
            log_x=True,
            log_y=at != 1,
            axes=axes[at],
        )
    rows = {PLAIN: scores.softmax(-1), SCALED: (scores * d**-0.5).softmax(-1)}
    bars(
        [str(at) for at in range(len(scores))],
        rows,
        numbers=False,
        y_title=_("weight"),
        title=_("softmax of one query, d = {d}, over {S} keys").format(d=d, S=len(scores)),
        axes=axes[3],
    )
    return plot
