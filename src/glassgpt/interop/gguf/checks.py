"""More checks of a GGUF file: tokens back to text, the end of a text, and conversations."""

from __future__ import annotations

from collections.abc import Iterator

from glassgpt.diagnose import Finding
from glassgpt.interop.certify import PIECE
from glassgpt.interop.chat import check_chat, end_of_text
from glassgpt.interop.gguf.runtime import LlamaCpp
from glassgpt.interop.source import ExportSource
from glassgpt.language import N_

NO_TEXT = "\ufffd"
"""The byte FF, decoded."""


def check_use(source: ExportSource, program: LlamaCpp) -> Iterator[Finding]:
    """Check the text that llama.cpp decodes ids to, the token that ends a text, and the chat template."""
    pieces = [source.text[i : i + PIECE] for i in range(0, len(source.text), PIECE)]
    wrong = sum(program.decode(source.tokenizer.encode(each)) != each for each in pieces)
    yield Finding.at_most(N_("different text of token ids: pieces, of {n:,}", n=len(pieces)), wrong, 0)
    end, expected = program.end_of_text(), end_of_text(source) or NO_TEXT
    yield Finding(N_("token that ends a text"), end, expected, "ok" if end == expected else "fail")
    yield from check_chat(source, program)
