"""Base of all plots: a figure for notebooks, its settings, and saving.

Pyplot is not used, so no window opens and no figure stays alive. Matplotlib reads its settings from one
global table; `settings` changes it during one call, under a lock, and restores it.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import uuid4

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from glassgpt.errors import UserError
from glassgpt.plots.colors import Theme, current
from glassgpt.plots.fonts import families, warn_without_glyph, without_glyph

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
SETTINGS = {
    "text.parse_math": False,  # a token may be "$"
    "svg.fonttype": "path",  # looks the same where the font is missing; the text stays as a comment
    "svg.hashsalt": "glassgpt",  # same input, same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 15,
    "axes.titlepad": 10,
    "axes.labelsize": 14,
    "axes.labelpad": 7,
    "figure.titlesize": 15,
    "figure.constrained_layout.h_pad": 0.09,  # inches
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
}
DEFAULTS: dict[str, Any] = {"dpi": 200}
SLIDE_MARGINS = (0.02, 0.03, 0.96, 0.95)
"""Left, bottom, width and height of what is drawn, in shares of a plot that is not cropped."""
CROPPED: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12}
P = ParamSpec("P")
R = TypeVar("R")
_one_at_a_time = threading.RLock()


def _colored(theme: Theme) -> dict[str, str]:
    """Return the settings for the colors of a theme."""
    texts = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    lines = ("axes.edgecolor", "xtick.color", "ytick.color")
    grounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    colors = {theme.text: texts, theme.faint: lines, theme.ground: grounds}
    return {name: color for color, names in colors.items() for name in names}


@contextmanager
def settings(theme: Theme | None = None) -> Iterator[None]:
    """Use matplotlib's defaults and SETTINGS, not the user's; other threads wait.

    theme: by default the current one.
    """
    with _one_at_a_time:
        every: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
        ours = SETTINGS | _colored(theme or current()) | {"font.family": families()}
        with matplotlib.rc_context(every | ours):
            yield


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorate a drawing function to run with `settings`."""

    @wraps(draw)
    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        with settings():
            return draw(*args, **kwargs)

    return with_settings


class Plot(Figure):
    """Matplotlib figure with its own canvas; a notebook shows it directly."""

    def __init__(
        self,
        width: float,
        height: float,
        *,
        layout: Literal["constrained", "none"] = "constrained",
        cropped: bool = True,
    ) -> None:
        """Create a figure of so many inches.

        layout: `none` keeps axes where they are put. cropped: crop saved files to what is drawn, so that
        their size differs a little.
        """
        with settings():
            super().__init__(figsize=(width, height), layout=None if layout == "none" else layout)
        FigureCanvasAgg(self)
        self.theme, self.layout, self.cropped = current(), layout, cropped
        self.settled = False  # True if the layout is final
        self._warned = ""  # characters that a warning has named

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save like matplotlib, with `settings` and one warning for all missing characters."""
        with settings(self.theme):
            missing = "".join(char for char in self._without_glyph() if char not in self._warned)
            with warnings.catch_warnings():
                # Matplotlib warns for every character in every size.
                warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
                self._settle()
                super().savefig(fname, **(DEFAULTS | (CROPPED if self.cropped else {}) | options))
        if missing:
            self._warned += missing
            warn_without_glyph(missing)

    def _settle(self) -> None:
        """Compute the layout once: a second time, or for another format, it would move a little."""
        if not self.settled and self.layout != "none":
            self.set_layout_engine("constrained", rect=(0, 0, 1, 1) if self.cropped else SLIDE_MARGINS)
            self.draw_without_rendering()
            self.set_layout_engine("none")
            self.settled = True

    def rendered(self, form: str, dpi: int = 200) -> bytes:
        """Return the bytes of a file: "png", "svg" or "pdf".

        Without a date: same plot, same bytes.
        """
        undated = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        out = io.BytesIO()
        self.savefig(out, format=form, dpi=dpi, metadata=undated)
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.rendered("png", dpi=100)

    def _without_glyph(self) -> str:
        return without_glyph(text.get_text() for text in self.findobj(Text) if isinstance(text, Text))


def plot_of(axes: Axes) -> Plot:
    """Return the plot of `axes`, before a change.

    Raises UserError for axes of another figure.
    """
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Plot):
        raise UserError(
            "axes: belong to a {name}, not to a Plot. Make them with panels(…).", name=type(figure).__name__
        )
    figure.settled = False
    return figure


def save(plot: Plot, path: str | os.PathLike[str], dpi: int = 200) -> Path:
    """Write a plot as PNG, SVG or PDF, by the suffix of `path`. Return the path.

    The file is written whole or not at all. dpi: dots per inch, for PNG. Raises UserError for another suffix,
    or if the file cannot be written.
    """
    path = Path(path)
    form = check_suffix(path)
    content = plot.rendered(form, dpi)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as problem:
        raise UserError(
            "{path}: cannot be written ({strerror}). Choose another path.",
            path=path,
            strerror=problem.strerror,
        ) from problem
    return path


def check_suffix(path: Path) -> str:
    """Return the format of a path: "png", "svg" or "pdf".

    Raises UserError for another suffix.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UserError(
            "{path}: unknown format of a plot. End the name in {formats}.",
            path=path,
            formats=", ".join(FORMATS),
        )
    return form


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
