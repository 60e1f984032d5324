"""Plots of traces, findings and curves, for slides and notebooks.

No model runs here; labels come from the caller. Needs matplotlib (the extra `[plot]`).
"""

from glassgpt.errors import missing_extra

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as _missing:
    raise missing_extra("plot", "matplotlib") from _missing

from glassgpt.plots.alignment import alignment_map, heaviest
from glassgpt.plots.charts import bars, lines, panels
from glassgpt.plots.colors import theme
from glassgpt.plots.comparisons import plot_comparison, plot_sweep
from glassgpt.plots.curves import plot, plot_curves
from glassgpt.plots.forward import plot_forward
from glassgpt.plots.graph import attention_graph, bipartite_graph, fitting_tokens
from glassgpt.plots.heat import head_grid, heat_map
from glassgpt.plots.image import over_image
from glassgpt.plots.labels import shortened
from glassgpt.plots.level_labels import Level, label_levels
from glassgpt.plots.logit_lens import logit_lens_table
from glassgpt.plots.slide import Box, Canvas, slide_panels
from glassgpt.plots.style import Plot, check_suffix, drawing, save
from glassgpt.plots.traces import (
    plot_alignment,
    plot_graph,
    plot_head,
    plot_heads,
    plot_image,
    plot_logit_lens,
)

__all__ = [
    "Box",
    "Canvas",
    "Level",
    "Plot",
    "alignment_map",
    "attention_graph",
    "bars",
    "bipartite_graph",
    "check_suffix",
    "drawing",
    "fitting_tokens",
    "head_grid",
    "heat_map",
    "heaviest",
    "label_levels",
    "lines",
    "logit_lens_table",
    "over_image",
    "panels",
    "plot",
    "plot_alignment",
    "plot_comparison",
    "plot_curves",
    "plot_forward",
    "plot_graph",
    "plot_head",
    "plot_heads",
    "plot_image",
    "plot_logit_lens",
    "plot_sweep",
    "save",
    "shortened",
    "slide_panels",
    "theme",
]
