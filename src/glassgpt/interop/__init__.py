"""Models of and for other programs: exports that are compared there, and checked imports."""

from glassgpt.interop.card import shared_card
from glassgpt.interop.certify import Certificate
from glassgpt.interop.exporter import export
from glassgpt.interop.huggingface.compare import compare_import
from glassgpt.interop.huggingface.foreign import ForeignModel, open_foreign
from glassgpt.interop.nanogpt import Checkpoint, places, read_nanogpt
from glassgpt.interop.source import ExportSource
from glassgpt.interop.whole_folder import whole_folder

__all__ = [
    "Certificate",
    "Checkpoint",
    "ExportSource",
    "ForeignModel",
    "compare_import",
    "export",
    "open_foreign",
    "places",
    "read_nanogpt",
    "shared_card",
    "whole_folder",
]
