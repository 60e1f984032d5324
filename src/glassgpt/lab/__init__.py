"""The lab: see through your own models in the browser, in a notebook, or in one HTML file.

`open_lab` imports no torch: the page is there while the server still imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glassgpt.lab.heap import use_one_heap
from glassgpt.lab.serve import Lab, open_lab

if TYPE_CHECKING:
    from glassgpt.lab.notebook import show
    from glassgpt.lab.offline import write_page

_HOMES = {"show": "notebook", "write_page": "offline"}

__all__ = ["Lab", "open_lab", "show", "use_one_heap", "write_page"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'glassgpt.lab' has no attribute {name!r}")
    return getattr(import_module(f"glassgpt.lab.{_HOMES[name]}"), name)
