"""The fast path of generation: packed weights, batched slots and blocks in C."""

from glassgpt.generate.fast.decoder import PackedDecoder
from glassgpt.generate.fast.native import why_not_native
from glassgpt.generate.fast.native_blocks import NativeBlocks
from glassgpt.generate.fast.weights import BYTES, Precision, check_precision, rounded

__all__ = [
    "BYTES",
    "NativeBlocks",
    "PackedDecoder",
    "Precision",
    "check_precision",
    "rounded",
    "why_not_native",
]
