"""Models of other programs as runs: nanoGPT's checkpoints, and models of transformers."""

from glassgpt.train.importing.nanogpt import import_nanogpt
from glassgpt.train.importing.pretrained import import_pretrained

__all__ = ["import_nanogpt", "import_pretrained"]
