"""Export to a Hugging Face folder: `GPT2LMHeadModel` or `Qwen3ForCausalLM`, as transformers loads them."""

from __future__ import annotations

from glassgpt.config import exportable_as
from glassgpt.interop.certify import Tolerance
from glassgpt.interop.chat import check_chat
from glassgpt.interop.format import ExportFormat
from glassgpt.interop.huggingface.folder import usage, write
from glassgpt.interop.huggingface.runtime import Transformers

FORMAT = ExportFormat(
    name="hf",
    title="Hugging Face",
    library="transformers",
    limits={
        "float32": Tolerance(logit=1e-4, kl=1e-8),
        "float16": Tolerance(logit=0.1, kl=1e-4, same_tokens=False),
        "bfloat16": Tolerance(logit=1.0, kl=1e-2, same_tokens=False),
    },
    obstacle=lambda source: exportable_as(source.shape).reason,
    write=write,
    open=Transformers,
    usage=usage,
    checks=check_chat,
)
