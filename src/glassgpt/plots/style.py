"""What all pictures share: a figure that shows itself in a notebook, its settings, and saving. Nothing
is drawn here.

Pyplot is never touched, so no window opens and no figure is kept alive. Matplotlib reads its settings
from one global table; `settings` changes it for the length of one call, under a lock, and puts it back.
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
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from glassgpt.errors import UserError
from glassgpt.plots.colors import FAINT, TEXT
from glassgpt.plots.fonts import families, warn_without_glyph, without_glyph

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
SETTINGS = {
    "text.parse_math": False,  # a token may be "$"
    "svg.fonttype": "path",  # looks the same where the font is missing; the text stays as a comment
    "svg.hashsalt": "glassgpt",  # same input, same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 14,
    "axes.titlepad": 10,
    "axes.labelsize": 13,
    "axes.labelpad": 7,
    "figure.titlesize": 15,
    "figure.constrained_layout.h_pad": 0.09,  # inches
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
}
DEFAULTS: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12, "dpi": 200}
P = ParamSpec("P")
R = TypeVar("R")
_one_at_a_time = threading.RLock()


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib's own defaults with SETTINGS, whatever the user has set; other threads of ours wait."""
    with _one_at_a_time:
        every: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
        with matplotlib.rc_context(every | SETTINGS | {"font.family": families()}):
            yield


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """Makes a function that draws do so with `settings`."""

    @wraps(draw)
    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        with settings():
            return draw(*args, **kwargs)

    return with_settings


class Plot(Figure):
    """A matplotlib figure with a canvas of its own, which a notebook shows without further ado."""

    def __init__(self, width: float, height: float) -> None:
        """Inches. What is saved is cut to what is drawn, so may be a little smaller or larger."""
        with settings():
            super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)
        self.settled = False  # whether everything has found its place
        self._told = ""  # characters that a warning has named already

    def savefig(self, fname: Any, **options: Any) -> None:
        """As matplotlib's, with our settings; one warning for all characters that no font has."""
        with settings():
            missing = "".join(char for char in self._without_glyph() if char not in self._told)
            with warnings.catch_warnings():
                # Matplotlib's own: one for every character in every size.
                warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
                self._settle()
                super().savefig(fname, **(DEFAULTS | options))
        if missing:
            self._told += missing
            warn_without_glyph(missing)

    def _settle(self) -> None:
        """Gives everything its place, once: again, or for another format, things would move a little."""
        if not self.settled:
            self.set_layout_engine("constrained")
            self.draw_without_rendering()
            self.set_layout_engine("none")
            self.settled = True

    def rendered(self, form: str, dpi: int = 200) -> bytes:
        """The picture as a file: "png", "svg" or "pdf". Same picture, same bytes: it has no date."""
        undated = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        out = io.BytesIO()
        self.savefig(out, format=form, dpi=dpi, metadata=undated)
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.rendered("png", dpi=100)

    def _without_glyph(self) -> str:
        return without_glyph(text.get_text() for text in self.findobj(Text) if isinstance(text, Text))


def picture_of(axes: Axes) -> Plot:
    """The picture of `axes`, which is about to change. Raises UserError for axes of another figure."""
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Plot):
        raise UserError(f"axes of a {type(figure).__name__}, not of a Plot: make them with panels(…)")
    figure.settled = False
    return figure


def save(picture: Plot, path: str | os.PathLike[str], dpi: int = 200) -> Path:
    """Writes `picture` as PNG, SVG or PDF, by the suffix of `path`, whole or not at all. Returns the
    path.

    dpi: dots per inch, for PNG. Raises UserError for another suffix, or where the file can't be
    written.
    """
    path = Path(path)
    form = check_suffix(path)
    content = picture.rendered(form, dpi)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as problem:
        raise UserError(f"{path} can't be written ({problem.strerror}): give another place") from problem
    return path


def check_suffix(path: Path) -> str:
    """The kind of file that a path names: "png", "svg" or "pdf". Raises UserError for another suffix."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UserError(
            f"{path}: a picture is saved as {', '.join(FORMATS)}; give the file one of these endings"
        )
    return form


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
