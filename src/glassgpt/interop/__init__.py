"""Models of and for other programs: exports that are compared there, and checked imports."""

from glassgpt.interop.certify import Certificate
from glassgpt.interop.exporter import export
from glassgpt.interop.nanogpt import Checkpoint, places, read_nanogpt

__all__ = ["Certificate", "Checkpoint", "export", "places", "read_nanogpt"]
