"""The lab: see through your own models in the browser, in a notebook, or in one HTML file."""

from glassgpt.lab.notebook import show
from glassgpt.lab.offline import write_page
from glassgpt.lab.serve import Lab, open_lab

__all__ = ["Lab", "open_lab", "show", "write_page"]
