"""Models of and for other programs: exports that are compared there, and checked imports."""

from glassgpt.interop.atomic_folder import whole_folder
from glassgpt.interop.card import shared_card
from glassgpt.interop.certify import Certificate, read_certificate
from glassgpt.interop.exporter import export
from glassgpt.interop.huggingface.compare import compare_import
from glassgpt.interop.huggingface.foreign import ForeignModel, open_foreign
from glassgpt.interop.huggingface.hub import HUB_PREFIX, check_export, check_hub_name, download, push
from glassgpt.interop.nanogpt import Checkpoint, places, read_nanogpt
from glassgpt.interop.source import ExportSource

__all__ = [
    "HUB_PREFIX",
    "Certificate",
    "Checkpoint",
    "ExportSource",
    "ForeignModel",
    "check_export",
    "check_hub_name",
    "compare_import",
    "download",
    "export",
    "open_foreign",
    "places",
    "push",
    "read_certificate",
    "read_nanogpt",
    "shared_card",
    "whole_folder",
]
