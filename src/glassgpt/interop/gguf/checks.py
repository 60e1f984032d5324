"""More checks of a GGUF file: tokens back to text, and conversations."""

from __future__ import annotations

from collections.abc import Iterator

from glassgpt.diagnose import Finding
from glassgpt.interop.certify import PIECE
from glassgpt.interop.chat import check_chat
from glassgpt.interop.gguf.runtime import LlamaCpp
from glassgpt.interop.source import ExportSource


def check_text_and_chat(source: ExportSource, program: LlamaCpp) -> Iterator[Finding]:
    """Check that llama.cpp decodes ids to the same text, and applies the chat template of training."""
    pieces = [source.text[i : i + PIECE] for i in range(0, len(source.text), PIECE)]
    wrong = sum(program.decode(source.tokenizer.encode(each)) != each for each in pieces)
    yield Finding.at_most(f"different text of token ids: pieces, of {len(pieces):,}", wrong, 0)
    yield from check_chat(source, program)
