"""Names of weights in other programs, as data: one table per architecture.

A rule says under which names another program stores one of our tensors, and how: in rows or transposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from glassgpt.config import ModelConfig


class Rule(NamedTuple):
    """One tensor of ours, and its place in another program."""

    ours: str
    theirs: tuple[str, ...]
    """Several names: each holds some rows of ours, in this order."""
    transposed: bool = False
    """True for a matrix stored as (inputs, outputs), as in GPT-2's Conv1D."""


def _with_bias(ours: str, theirs: str, *, transposed: bool = False) -> tuple[Rule, Rule]:
    return (
        Rule(f"{ours}.weight", (f"{theirs}.weight",), transposed),
        Rule(f"{ours}.bias", (f"{theirs}.bias",)),
    )


def _weight(ours: str, *theirs: str) -> Rule:
    return Rule(f"{ours}.weight", tuple(f"{each}.weight" for each in theirs))


GPT2 = (
    _weight("wte", "transformer.wte"),
    _weight("wpe", "transformer.wpe"),
    *_with_bias("blocks.{i}.norm_1", "transformer.h.{i}.ln_1"),
    *_with_bias("blocks.{i}.attn.qkv", "transformer.h.{i}.attn.c_attn", transposed=True),
    *_with_bias("blocks.{i}.attn.proj", "transformer.h.{i}.attn.c_proj", transposed=True),
    *_with_bias("blocks.{i}.norm_2", "transformer.h.{i}.ln_2"),
    *_with_bias("blocks.{i}.mlp.fc", "transformer.h.{i}.mlp.c_fc", transposed=True),
    *_with_bias("blocks.{i}.mlp.proj", "transformer.h.{i}.mlp.c_proj", transposed=True),
    *_with_bias("norm_f", "transformer.ln_f"),
    _weight("lm_head", "lm_head"),
)
LLAMA = (
    _weight("wte", "model.embed_tokens"),
    _weight("blocks.{i}.norm_1", "model.layers.{i}.input_layernorm"),
    _weight(
        "blocks.{i}.attn.qkv",
        "model.layers.{i}.self_attn.q_proj",
        "model.layers.{i}.self_attn.k_proj",
        "model.layers.{i}.self_attn.v_proj",
    ),
    _weight("blocks.{i}.attn.proj", "model.layers.{i}.self_attn.o_proj"),
    _weight("blocks.{i}.norm_2", "model.layers.{i}.post_attention_layernorm"),
    _weight("blocks.{i}.mlp.fc", "model.layers.{i}.mlp.gate_proj", "model.layers.{i}.mlp.up_proj"),
    _weight("blocks.{i}.mlp.proj", "model.layers.{i}.mlp.down_proj"),
    _weight("norm_f", "model.norm"),
    _weight("lm_head", "lm_head"),
)
QWEN3 = (
    *LLAMA,
    _weight("blocks.{i}.attn.q_norm", "model.layers.{i}.self_attn.q_norm"),
    _weight("blocks.{i}.attn.k_norm", "model.layers.{i}.self_attn.k_norm"),
)
RULES: dict[str, tuple[Rule, ...]] = {
    "GPT2LMHeadModel": GPT2,
    "LlamaForCausalLM": LLAMA,
    "Qwen3ForCausalLM": QWEN3,
}
"""By class of Hugging Face's transformers. A tied output head has no entry of its own."""
PREFIXES = {"GPT2LMHeadModel": "transformer.", "LlamaForCausalLM": "model.", "Qwen3ForCausalLM": "model."}
"""Prefix that names lack if a file holds the model without its head."""
BUFFERS = re.compile(
    r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias|(model\.layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"
)
"""Tables that older files hold next to the weights: causal masks, and frequencies of the rotary positions."""


def rules(table: tuple[Rule, ...], config: ModelConfig) -> Iterator[Rule]:
    """Yield the rules of a table for each block; without the output head if it is tied.

    >>> config = ModelConfig.model_validate({"preset": "gpt2", "n_layer": 2})
    >>> [rule.theirs for rule in rules(GPT2, config) if rule.ours.endswith("proj.weight")][0]
    ('transformer.h.0.attn.c_proj.weight',)
    """
    for rule in table:
        if rule.ours.startswith("lm_head") and config.tie_embeddings:
            continue
        for i in range(config.n_layer if "{i}" in rule.ours else 1):
            theirs = tuple(name.replace("{i}", str(i)) for name in rule.theirs)
            yield Rule(rule.ours.replace("{i}", str(i)), theirs, rule.transposed)


def to_theirs(
    tensors: Mapping[str, Tensor], table: tuple[Rule, ...], config: ModelConfig
) -> dict[str, Tensor]:
    """Return our tensors under the names and in the shapes of another program.

    A bias that the model does not have is written as zeros.
    """
    found = {}
    for rule in rules(table, config):
        tensor = tensors.get(rule.ours)
        if tensor is None:
            tensor = torch.zeros(len(tensors[rule.ours.replace(".bias", ".weight")]))
        tensor = tensor.T if rule.transposed else tensor
        rows = _rows(len(rule.theirs), len(tensor), config)
        for name, part in zip(rule.theirs, tensor.split(rows), strict=True):
            found[name] = part.contiguous()
    return found


def to_ours(rule: Rule, parts: Sequence[Tensor]) -> Tensor:
    """Return our tensor of a rule from the tensors of another program: the inverse of `to_theirs`.

    >>> one, two = torch.zeros(2, 3), torch.ones(1, 3)
    >>> to_ours(_weight("fc", "gate", "up"), [one, two]).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    tensor = parts[0] if len(parts) == 1 else torch.cat([*parts])
    return tensor.T.contiguous() if rule.transposed else tensor


def their_shapes(rule: Rule, shape: tuple[int, ...], config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of another program's tensors by name, from the shape of ours.

    >>> their_shapes(Rule("fc", ("c_fc",), transposed=True), (4, 3), ModelConfig.model_validate({}))
    {'c_fc': (3, 4)}
    """
    n_rows, *others = shape[::-1] if rule.transposed else shape
    rows = _rows(len(rule.theirs), n_rows, config)
    return {name: (n, *others) for name, n in zip(rule.theirs, rows, strict=True)}


def _rows(n_parts: int, n_rows: int, config: ModelConfig) -> list[int]:
    """Return the rows of each part: of queries, keys and values (3), of gate and up (2)."""
    if n_parts == 3:
        return [heads * config.head_dim for heads in (config.n_head, config.kv_heads, config.kv_heads)]
    return [n_rows // n_parts] * n_parts
