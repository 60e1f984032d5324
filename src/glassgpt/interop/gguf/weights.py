"""Weights of a model under the names, in the order and in the types of GGUF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.interop.huggingface.config import class_of
from glassgpt.interop.names import RULES, to_theirs
from glassgpt.interop.source import ExportSource

ARCHITECTURES = {"GPT2LMHeadModel": "gpt2", "LlamaForCausalLM": "llama", "Qwen3ForCausalLM": "qwen3"}
"""Architecture of llama.cpp that computes what a class of transformers does."""
TYPES = {
    "float32": GGMLQuantizationType.F32,
    "float16": GGMLQuantizationType.F16,
    "q8_0": GGMLQuantizationType.Q8_0,
}
"""Type of the matrices, by dtype."""
Q8_BLOCK = 32
"""Numbers that share a scale in Q8_0."""


class GgufTensor(NamedTuple):
    """A tensor of a file."""

    name: str
    data: np.ndarray
    """Numbers, or for a quantized type the bytes of its blocks."""
    type: GGMLQuantizationType


def architecture(shape: ModelConfig) -> str:
    """Return the name of the architecture in llama.cpp."""
    return ARCHITECTURES[class_of(shape)]


def gguf_tensors(source: ExportSource, dtype: str) -> Iterator[GgufTensor]:
    """Yield the tensors of a model. dtype: of the matrices; vectors and positions stay float32.

    Unlike GPT-2 of transformers, GGUF stores every matrix as (outputs, inputs).
    """
    shape, name = source.shape, architecture(source.shape)
    table = tuple(rule._replace(transposed=False) for rule in RULES[class_of(shape)])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[name.upper()], shape.n_layer)
    for theirs, tensor in to_theirs(source.tensors, table, shape).items():
        found = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        assert found is not None, theirs
        if name == "llama" and theirs.endswith(("q_proj.weight", "k_proj.weight")):
            tensor = interleave_pairs(tensor, shape.head_dim)
        yield _typed(found, tensor.detach().float().numpy(), TYPES[dtype])


def interleave_pairs(matrix: Tensor, head_dim: int) -> Tensor:
    """Reorder the rows of a query or key matrix for llama.cpp's architecture `llama`.

    It rotates rows 2i and 2i + 1 of a head; ours rotates rows i and i + head_dim / 2. matrix: (H·D, C).
    """
    halves = matrix.unflatten(0, (-1, 2, head_dim // 2))  # (H, 2, D/2, C)
    return halves.transpose(1, 2).flatten(0, 2)  # (H·D, C)


def _typed(name: str, data: np.ndarray, type: GGMLQuantizationType) -> GgufTensor:
    if data.ndim == 1 or name.startswith("position_embd"):
        type = GGMLQuantizationType.F32
    elif type == GGMLQuantizationType.Q8_0 and data.shape[-1] % Q8_BLOCK:
        type = GGMLQuantizationType.F16  # such rows do not divide into blocks
    return GgufTensor(name, gguf.quants.quantize(data, type), type)
