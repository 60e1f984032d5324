"""The fast path of decoding: packed weights and C kernels."""

from glassgpt.generate.fast.decoder import PackedDecoder
from glassgpt.generate.fast.native_blocks import NativeBlocks
from glassgpt.generate.fast.weights import BYTES, Precision, check_precision, rounded

__all__ = ["BYTES", "NativeBlocks", "PackedDecoder", "Precision", "check_precision", "rounded"]
