"""Checkpoints of other programs, checked and renamed."""

from glassgpt.interop.nanogpt import Checkpoint, places, read_nanogpt

__all__ = ["Checkpoint", "places", "read_nanogpt"]
