"""LoRA adapters of a GPT: attach them, or merge them into the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.gpt import GPT
from glassgpt.nn import Block, ExtendedEmbedding, ExtendedHead, LoraLinear

ADAPTERS = ("lora_a", "lora_b", "added")
"""Last parts of the names of the trained tensors."""


def adapt(model: GPT) -> GPT:
    """Freeze a model and attach LoRA adapters to all matrices of its blocks.

    The rows of `config.new_tokens` in embedding and head are trained, too, or with `config.lora_embeddings`
    all of their rows. Changes the model and returns it.
    """
    config = model.config
    for p in model.parameters():
        p.requires_grad_(False)
    for block in [part for part in model.modules() if isinstance(part, Block)]:
        for owner in list(block.modules()):
            for name, part in owner.named_children():
                if isinstance(part, nn.Linear):
                    setattr(owner, name, LoraLinear(part, config.lora_rank, config.lora_scale))
    if config.lora_embeddings:
        for part in (model.wte, model.lm_head):
            part.weight.requires_grad_(True)
    if config.new_tokens:
        extended = ExtendedEmbedding(model.wte, config.new_tokens)
        own = nn.Parameter(torch.zeros_like(extended.added))
        added = extended.added if config.tie_embeddings else own
        head = ExtendedHead(model.lm_head, added)
        setattr(model, "wte", extended)  # noqa: B010 — not the declared class, but used in the same way
        setattr(model, "lm_head", head)  # noqa: B010
    return model


def merge_adapters(tensors: dict[str, Tensor], config: ModelConfig) -> tuple[dict[str, Tensor], ModelConfig]:
    """Merge adapters into the weights: W + scale · B A, computed in float32.

    Returns plain weights by name and a configuration without adapters. Rows of new tokens get `added`.
    """
    plain = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in ADAPTERS}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        weight = f"{layer}.weight"
        if kind == "lora_b":
            update = config.lora_scale * (tensor.float() @ tensors[f"{layer}.lora_a"].float())
            plain[weight] = plain[weight] + update.to(tensor.dtype)
        elif kind == "added":
            rows = plain[weight].clone()
            rows[-len(tensor) :] += tensor
            plain[weight] = rows
    own = {"lora_rank": 0, "lora_alpha": None, "new_tokens": 0, "lora_embeddings": False}
    return plain, config.model_copy(update=own)
