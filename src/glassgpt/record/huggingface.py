"""Looking into GPT-2 and Qwen3 of Hugging Face, by the same names as into our own models.

Their attention is a function that the configuration names. While a model is watched, its configuration names
ours instead, which shows queries, keys and values to the watcher and calls the one that was named before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention, GPT2Block, GPT2LMHeadModel, GPT2Model
from transformers.models.qwen3.modeling_qwen3 import (
    Qwen3Attention,
    Qwen3DecoderLayer,
    Qwen3ForCausalLM,
    Qwen3Model,
)

from glassgpt.errors import UserError
from glassgpt.nn import AttnMask
from glassgpt.record.hook_points import KERNEL, ActivationHook, HookPoints, Kernel, Part, at_input, at_output

PREFIX = "glassgpt_watched_"
KINDS = ("sdpa", "eager")
"""Attention functions of transformers that can be watched."""

_kernels: dict[nn.Module, Kernel] = {}
"""Attentions that are being watched."""


def huggingface_hook_points(model: nn.Module) -> HookPoints:
    """The anatomy of a GPT2LMHeadModel, GPT2Model, Qwen3ForCausalLM or Qwen3Model.

    Raises UserError for other models.
    """
    match model:
        case GPT2LMHeadModel():
            trunk, head = model.transformer, model.lm_head
        case Qwen3ForCausalLM():
            trunk, head = model.model, model.lm_head
        case GPT2Model() | Qwen3Model():
            trunk, head = model, None
        case _:
            raise UserError(
                f"cannot look into a {type(model).__name__} of transformers: only into GPT-2 and Qwen3"
            )
    is_gpt2 = isinstance(trunk, GPT2Model)
    norm: nn.Module = trunk.ln_f if is_gpt2 else trunk.norm
    parts: list[Part] = []
    for i, block in enumerate(trunk.h if is_gpt2 else trunk.layers):
        parts += _block(f"blocks.{i}.", block)
    parts.append(at_output(norm, "norm_f"))
    if head is None:
        return HookPoints(parts)
    return HookPoints([*parts, at_output(head, "logits")], lambda h: head(norm(h)))


@dataclass(frozen=True)
class _Layer:
    """The parts of a block under our names for them."""

    attn: nn.Module
    norm_2: nn.Module
    mlp: nn.Module
    proj: nn.Module


def _layer(block: nn.Module) -> _Layer:
    match block:
        case GPT2Block():
            return _Layer(block.attn, block.ln_2, block.mlp, block.mlp.c_proj)
        case Qwen3DecoderLayer():
            mlp = block.mlp
            return _Layer(block.self_attn, block.post_attention_layernorm, mlp, mlp.down_proj)
    raise UserError(f"cannot look into a {type(block).__name__}: its parts are not known here")


def _block(prefix: str, block: nn.Module) -> list[Part]:
    layer = _layer(block)
    assert isinstance(layer.attn, GPT2Attention | Qwen3Attention)
    return [
        at_input(block, prefix + "resid_pre"),
        _at_kernel(layer.attn, prefix + "attn."),
        at_output(layer.attn, prefix + "attn.out"),
        at_input(layer.norm_2, prefix + "resid_mid"),
        at_input(layer.proj, prefix + "mlp.hidden"),
        at_output(layer.mlp, prefix + "mlp.out"),
        at_output(block, prefix + "resid_post"),
    ]


def _at_kernel(attention: GPT2Attention | Qwen3Attention, prefix: str) -> Part:
    def attach(watcher: ActivationHook) -> Callable[[], None]:
        config = attention.config
        named = config._attn_implementation or "eager"
        kind = named.removeprefix(PREFIX)  # all layers share one configuration: it may be ours already
        if kind not in KINDS:
            raise UserError(
                f"attention by {kind!r} cannot be watched: load the model with attn_implementation='sdpa'"
            )
        _register(kind)
        _kernels[attention] = Kernel(prefix, watcher)
        config._attn_implementation = PREFIX + kind

        def detach() -> None:
            del _kernels[attention]
            config._attn_implementation = kind

        return detach

    return Part(tuple(prefix + name for name in KERNEL), attach)


def _register(kind: str) -> None:
    """Make our attention function known to transformers, beside the masks that `kind` expects."""
    name = PREFIX + kind
    if name not in AttentionInterface():
        AttentionInterface.register(name, _watched)
        AttentionMaskInterface.register(name, AttentionMaskInterface()[kind])


def _watched(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """An attention function of transformers: (B, H, T, D) in, (B, T, H, D) out."""
    config: Any = module.config
    kind = config._attn_implementation.removeprefix(PREFIX)
    default = sys.modules[type(module).__module__].eager_attention_forward
    function = AttentionInterface().get_interface(kind, default)
    kernel = _kernels.get(module)
    if kernel is None:  # another layer of the same model is watched
        return function(module, q, k, v, mask, **options)
    q, k, v = kernel.before(q, k, v)
    heads, weights = function(module, q, k, v, mask, **options)
    seen = kernel.after(q, k, v, _as_mask(module, q, mask), heads.transpose(1, 2), options.get("scaling"))
    return seen.transpose(1, 2), weights


def _as_mask(module: nn.Module, q: Tensor, mask: Tensor | None) -> AttnMask:
    if mask is None:
        return AttnMask(is_causal=q.shape[2] > 1 and bool(module.is_causal))
    allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    # Padding on the left sees nothing; nobody reads what it gathers.
    return AttnMask(allowed | ~allowed.any(-1, keepdim=True))
