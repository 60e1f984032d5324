"""The lab's views in a notebook: an anywidget over a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassgpt.checkpoint import Run
from glassgpt.errors import missing_extra
from glassgpt.lab.offline import widget_values
from glassgpt.lens import trace

if TYPE_CHECKING:
    from glassgpt.lab.widget import TraceWidget


def show(
    run: Run | Path | str,
    text: str = "",
    *,
    image: np.ndarray | None = None,
    target: str | None = None,
    hide: str | None = None,
    view: str | None = None,
) -> TraceWidget:
    """Show the inside of a run on a text, in a notebook of Jupyter or marimo.

    text, image, target, hide: as in `trace`. view: name of the view that is shown first, such as `walk`. The
    widget holds all its numbers, so it stays alive without a server. Raises UserError as `trace`, and without
    the extra [lab].

    >>> import glassgpt as gg
    >>> gg.show("runs/notes", "To be, or not")  # doctest: +SKIP
    """
    try:
        from glassgpt.lab.widget import TraceWidget
    except ImportError as error:
        raise missing_extra("lab", "anywidget") from error
    opened = Run.open(Path(run))
    model, tokenizer = opened.model(), opened.tokenizer()
    seen = trace(model, tokenizer, text, image=image, target=target, hide=hide)
    header, blob, labels = widget_values(seen, model, tokenizer)
    return TraceWidget(header=header, blob=blob, vocabulary=labels, view=view or "")
