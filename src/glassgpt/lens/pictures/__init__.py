"""Pictures for slides and notebooks, from plain numbers and labels. No model is run here, nothing is
computed.

Every word in a picture is the caller's. Needs matplotlib, the extra `[plot]`.
"""

from glassgpt.errors import UserError

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as _missing:
    raise UserError(
        "matplotlib is not installed: pip install 'glassgpt[plot]' (in a clone: '.[plot]')"
    ) from _missing

from glassgpt.lens.pictures.alignment import alignment
from glassgpt.lens.pictures.charts import bars, lines, panels
from glassgpt.lens.pictures.graph import attention_graph, bipartite_graph
from glassgpt.lens.pictures.heat import head_grid, heat_map
from glassgpt.lens.pictures.image import over_image
from glassgpt.lens.pictures.labels import label
from glassgpt.lens.pictures.lens import logit_lens_table
from glassgpt.lens.pictures.style import Picture, check_suffix, save

__all__ = [
    "Picture",
    "alignment",
    "attention_graph",
    "bars",
    "bipartite_graph",
    "check_suffix",
    "head_grid",
    "heat_map",
    "label",
    "lines",
    "logit_lens_table",
    "over_image",
    "panels",
    "save",
]
