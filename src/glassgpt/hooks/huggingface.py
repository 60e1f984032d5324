"""Hook points of GPT-2 and Qwen3 of Hugging Face, under the names of GlassGPT's models.

A transformers config names its attention function. While a hook is attached, the config names `_attention`
instead: it passes queries, keys and values to the hook and calls the original function.
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
from glassgpt.hooks.hook_points import (
    KERNEL_ACTIVATIONS,
    ActivationHook,
    HookPoint,
    HookPoints,
    KernelHook,
    at_input,
    at_output,
)
from glassgpt.nn import AttnMask, attention_scores, masked_scores

PREFIX = "glassgpt_hooked_"
KINDS = ("sdpa", "eager")
"""Attention functions of transformers that hooks can be attached to."""

_kernels: dict[nn.Module, KernelHook] = {}
"""Attention modules with a hook attached."""


def huggingface_hook_points(model: nn.Module) -> HookPoints:
    """Return the hook points of a GPT2LMHeadModel, GPT2Model, Qwen3ForCausalLM or Qwen3Model.

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
                "cannot look into a {name} of transformers: its hook points are unknown. Pass a GPT-2 or a "
                "Qwen3.",
                name=type(model).__name__,
            )
    is_gpt2 = isinstance(trunk, GPT2Model)
    norm: nn.Module = trunk.ln_f if is_gpt2 else trunk.norm
    points: list[HookPoint] = []
    for i, block in enumerate(trunk.h if is_gpt2 else trunk.layers):
        points += _block(f"blocks.{i}.", block)
    points.append(at_output(norm, "norm_f"))
    if head is None:
        return HookPoints(points)
    return HookPoints([*points, at_output(head, "logits")], lambda h: head(norm(h)))


@dataclass(frozen=True)
class _Layer:
    """The modules of a block under GlassGPT's names."""

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
    raise UserError(
        "cannot look into a {name}: its modules are unknown. Pass a GPT-2 or a Qwen3.",
        name=type(block).__name__,
    )


def _block(prefix: str, block: nn.Module) -> list[HookPoint]:
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


def _at_kernel(attention: GPT2Attention | Qwen3Attention, prefix: str) -> HookPoint:
    def attach(hook: ActivationHook) -> Callable[[], None]:
        config = attention.config
        named = config._attn_implementation or "eager"
        kind = named.removeprefix(PREFIX)  # all layers share one configuration: it may be ours already
        if kind not in KINDS:
            raise UserError(
                "attention {kind!r}: cannot be recorded. Load the model with attn_implementation='sdpa'.",
                kind=kind,
            )
        _register(kind)
        _kernels[attention] = KernelHook(prefix, hook)
        config._attn_implementation = PREFIX + kind

        def detach() -> None:
            del _kernels[attention]
            config._attn_implementation = kind

        return detach

    return HookPoint(tuple(prefix + name for name in KERNEL_ACTIVATIONS), attach)


def _register(kind: str) -> None:
    """Register `_attention` with transformers, with the masks that `kind` expects."""
    name = PREFIX + kind
    if name not in AttentionInterface():
        AttentionInterface.register(name, _attention)
        AttentionMaskInterface.register(name, AttentionMaskInterface()[kind])


@dataclass(frozen=True)
class _ScaledDotProduct:
    """Reference of an attention function of transformers with its own scale."""

    scale: float | None

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Compute the scores (B, H, T, S)."""
        return attention_scores(q, k, self.scale)

    def weights(self, q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
        """Compute the weights (B, H, T, S)."""
        return masked_scores(self.scores(q, k), mask).softmax(dim=-1)


def _attention(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Attention function of transformers: q, k, v (B, H, T, D) -> (B, T, H, D), and weights or None."""
    config: Any = module.config
    kind = config._attn_implementation.removeprefix(PREFIX)
    default = sys.modules[type(module).__module__].eager_attention_forward
    function = AttentionInterface().get_interface(kind, default)
    kernel = _kernels.get(module)
    if kernel is None:  # only another layer of this model has a hook
        return function(module, q, k, v, mask, **options)
    q, k, v = kernel.before(q, k, v)
    heads, weights = function(module, q, k, v, mask, **options)
    heads = heads.transpose(1, 2)  # (B, T, H, D) -> (B, H, T, D)
    reference = _ScaledDotProduct(options.get("scaling"))
    heads = kernel.after(q, k, v, _as_mask(module, q, mask), heads, reference)
    return heads.transpose(1, 2), weights  # (B, H, T, D) -> (B, T, H, D)


def _as_mask(module: nn.Module, q: Tensor, mask: Tensor | None) -> AttnMask:
    if mask is None:
        return AttnMask(is_causal=q.shape[2] > 1 and bool(module.is_causal))
    allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    # Left padding has no allowed key. Its output is never used, so it may attend to everything.
    return AttnMask(allowed | ~allowed.any(-1, keepdim=True))
