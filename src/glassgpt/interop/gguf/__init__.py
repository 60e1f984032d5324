"""Export to one GGUF file, as llama.cpp and the programs around it load it."""

from __future__ import annotations

from glassgpt.interop.certify import Tolerance
from glassgpt.interop.format import ExportFormat
from glassgpt.interop.gguf.checks import check_use
from glassgpt.interop.gguf.file import export_obstacle, usage, write
from glassgpt.interop.gguf.runtime import LlamaCpp
from glassgpt.interop.gguf.tokenizer import left_out

ROUNDED_GELU = Tolerance(logit=1e-2, kl=1e-6)
"""llama.cpp looks GELU up in a table of half precision."""
FORMAT = ExportFormat(
    name="gguf",
    title="GGUF",
    library="gguf",
    limits={
        "float32": Tolerance(logit=1e-4, kl=1e-9),
        "float16": Tolerance(logit=0.1, kl=1e-4, same_tokens=False),
        "q8_0": Tolerance(logit=1.0, kl=1e-2, same_tokens=False),
    },
    obstacle=export_obstacle,
    write=write,
    open=LlamaCpp,
    usage=usage,
    checks=check_use,
    left_out=left_out,
    wider=lambda source: {"float32": ROUNDED_GELU} if source.shape.mlp == "gelu" else {},
)
