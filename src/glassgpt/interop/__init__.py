"""Floor 3, above `checkpoint`: what other programs have trained, read and checked, under our names."""

from glassgpt.interop.nanogpt import Checkpoint, places, read_nanogpt

__all__ = ["Checkpoint", "places", "read_nanogpt"]
