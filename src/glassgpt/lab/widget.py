"""The anywidget of `show`. Importing this module needs the extra [lab]."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from glassgpt.lab.page import page_folder


class TraceWidget(anywidget.AnyWidget):
    """The views of one trace. `header` and `blob` are those of an offline file."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    header = traitlets.Dict().tag(sync=True)
    blob = traitlets.Bytes().tag(sync=True)
    vocabulary = traitlets.List().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)

    def __init__(self, **values: Any) -> None:
        page = page_folder()
        script, style = ((page / name).read_text("utf-8") for name in ("lab.js", "lab.css"))
        super().__init__(_esm=script, _css=style, **values)
