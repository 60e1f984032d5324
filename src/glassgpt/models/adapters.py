"""Adapters in a GPT: put beside the matrices of its blocks, and added to them for good."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.gpt import GPT
from glassgpt.nn import Block, ExtendedEmbedding, ExtendedHead, LoraLinear

ADAPTERS = ("lora_a", "lora_b", "added")
"""What the trained tensors are called, after the name of the layer."""


def adapt(model: GPT) -> GPT:
    """Freeze a model and put adapters beside the matrices of its blocks, as its configuration says.

    Of embedding and head, the rows of new tokens are trained, too.
    """
    config = model.config
    for p in model.parameters():
        p.requires_grad_(False)
    for block in [part for part in model.modules() if isinstance(part, Block)]:
        for owner in list(block.modules()):
            for name, part in owner.named_children():
                if isinstance(part, nn.Linear):
                    setattr(owner, name, LoraLinear(part, config.lora_rank, config.lora_scale))
    if config.new_tokens:
        grown = ExtendedEmbedding(model.wte, config.new_tokens)
        own = nn.Parameter(torch.zeros_like(grown.added))
        added = grown.added if config.tie_embeddings else own
        head = ExtendedHead(model.lm_head, added)
        setattr(model, "wte", grown)  # noqa: B010 — another class than the declared one, with the same use
        setattr(model, "lm_head", head)  # noqa: B010
    return model


def merge_adapters(tensors: dict[str, Tensor], config: ModelConfig) -> tuple[dict[str, Tensor], ModelConfig]:
    """Weights by name with adapters, and the shape that has them -> the same function without any.

    W + scale · B A for each matrix, computed in float32; the rows of new tokens with what was added to them.
    """
    plain = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in ADAPTERS}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        weight = f"{layer}.weight"
        if kind == "lora_b":
            change = config.lora_scale * (tensor.float() @ tensors[f"{layer}.lora_a"].float())
            plain[weight] = plain[weight] + change.to(tensor.dtype)
        elif kind == "added":
            rows = plain[weight].clone()
            rows[-len(tensor) :] += tensor
            plain[weight] = rows
    return plain, config.model_copy(update={"lora_rank": 0, "lora_alpha": None, "new_tokens": 0})
