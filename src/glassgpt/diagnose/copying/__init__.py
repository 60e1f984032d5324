"""Copying: passages of a text that stand verbatim in the training text, and how many are usual."""

from glassgpt.diagnose.copying.matches import CopiedSpan, Matches, longest_matches
from glassgpt.diagnose.copying.meter import MIN_SPAN, Copying, CopyingScore, measure_copying, span_source
from glassgpt.diagnose.copying.suffixes import (
    CHUNK,
    IndexCost,
    SuffixIndex,
    build_index,
    check_installed,
    index_cost,
    open_index,
)

__all__ = [
    "CHUNK",
    "MIN_SPAN",
    "CopiedSpan",
    "Copying",
    "CopyingScore",
    "IndexCost",
    "Matches",
    "SuffixIndex",
    "build_index",
    "check_installed",
    "index_cost",
    "longest_matches",
    "measure_copying",
    "open_index",
    "span_source",
]
