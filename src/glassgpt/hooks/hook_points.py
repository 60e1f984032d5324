"""Hook points: stable names for the activations of a model, and hooks that see them.

A name is a module's path and an activation: `blocks.3.attn.weights`, `encoder.blocks.0.resid_mid`.
This file covers the models of GlassGPT, `huggingface.py` those of Hugging Face. `recorder.py` uses both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.models import Model, Transformer
from glassgpt.nn import Attention, AttnMask, Block, masked_scores

SCORE_ACTIVATIONS = ("scores", "masked_scores", "weights")
KERNEL_ACTIVATIONS = ("q", "k", "v", *SCORE_ACTIVATIONS, "heads")
"""Activations of an attention kernel, in the order of computation.

Queries (B, H, T, D), keys and values (B, H_kv, S, D). Scaled scores, masked scores (−∞ where a query may not
look) and weights, each (B, H, T, S). The output of each head (B, H, T, D)."""


class ActivationHook(Protocol):
    """Observer of activations: receives tensors by name, and may return others in their place."""

    def wants(self, name: str) -> bool:
        """True if the hook observes this activation."""
        ...

    def replaces(self, name: str) -> bool:
        """True if the hook may return a different tensor for this activation."""
        ...

    def observe(self, name: str, value: Tensor) -> Tensor:
        """Receive an activation. Return the tensor that the model continues with."""
        ...


class AttentionReference(Protocol):
    """Readable computation of scores and weights, equal to a fast attention kernel."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Return the scores (B, H, T, S) of q (B, H, T, D) and k (B, H_kv, S, D), before the mask."""
        ...

    def weights(self, q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
        """Return the weights (B, H, T, S), each row summing to at most 1."""
        ...


@dataclass(frozen=True)
class HookPoint:
    """One place in a model: the names of its activations, and a function to attach a hook.

    `attach` returns the function that removes the hook.
    """

    names: tuple[str, ...]
    attach: Callable[[ActivationHook], Callable[[], None]]


@dataclass(frozen=True)
class HookPoints:
    """All hook points of a model, in the order of computation within each block."""

    points: Sequence[HookPoint]
    to_logits: Callable[[Tensor], Tensor] | None = None
    """The last norm and the output head: (B, T, C) -> (B, T, V). None for a model without a head."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all activations."""
        return tuple(name for point in self.points for name in point.names)

    @contextmanager
    def attach(self, hook: ActivationHook) -> Iterator[None]:
        """Attach a hook to the points that it wants, inside a `with` block."""
        with ExitStack() as stack:
            for point in self.points:
                if any(hook.wants(name) for name in point.names):
                    stack.callback(point.attach(hook))
            yield


def model_hook_points(model: Model) -> HookPoints:
    """Return the hook points of a GlassGPT model, including its encoder or vision encoder."""
    points: list[HookPoint] = []
    for path, module in model.named_modules():
        prefix = path + "." if path else ""
        if isinstance(module, Block):
            points += _block(prefix, module)
        elif isinstance(module, Transformer):
            points.append(at_output(module.norm_f, prefix + "norm_f"))
    if model.output_head is not None:
        points.append(at_output(model.output_head, "logits"))
    if not isinstance(model, Transformer) or model.output_head is None:
        return HookPoints(points)
    return HookPoints(points, lambda h: model.head(model.norm_f(h)))


def _block(prefix: str, block: Block) -> list[HookPoint]:
    points = [at_input(block, prefix + "resid_pre"), *_attention(prefix + "attn.", block.attn)]
    if block.cross_attn is not None and block.norm_cross is not None:
        points += [
            at_input(block.norm_cross, prefix + "resid_mid"),
            *_attention(prefix + "cross_attn.", block.cross_attn),
            at_input(block.norm_2, prefix + "resid_cross"),
        ]
    else:
        points.append(at_input(block.norm_2, prefix + "resid_mid"))
    return [
        *points,
        at_input(block.mlp.proj, prefix + "mlp.hidden"),
        at_output(block.mlp, prefix + "mlp.out"),
        at_output(block, prefix + "resid_post"),
    ]


def _attention(prefix: str, attention: Attention) -> list[HookPoint]:
    return [_at_kernel(attention.sdpa, prefix), at_output(attention, prefix + "out")]


def at_input(module: nn.Module, name: str) -> HookPoint:
    """Return the hook point of a module's first argument."""

    def attach(hook: ActivationHook) -> Callable[[], None]:
        def pre_hook(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return hook.observe(name, inputs[0]), *inputs[1:]

        return module.register_forward_pre_hook(pre_hook).remove

    return HookPoint((name,), attach)


def at_output(module: nn.Module, name: str) -> HookPoint:
    """Return the hook point of a module's output, or of the first item of a tuple."""

    def attach(hook: ActivationHook) -> Callable[[], None]:
        def forward_hook(_: nn.Module, __: object, output: Any) -> Any:
            if isinstance(output, tuple):
                return hook.observe(name, output[0]), *output[1:]
            return hook.observe(name, output)

        return module.register_forward_hook(forward_hook).remove

    return HookPoint((name,), attach)


def _at_kernel(sdpa: nn.Module, prefix: str) -> HookPoint:
    """Return the hook point around the kernel of a GlassGPT attention."""

    def attach(hook: ActivationHook) -> Callable[[], None]:
        kernel = KernelHook(prefix, hook)
        if kernel.needs_reference and not has_reference(sdpa):
            raise UserError(
                "{prefix}weights: {name} computes attention in a way that cannot be recorded. Define "
                "`scores` or `weights` in the class that defines its `forward`.",
                prefix=prefix,
                name=type(sdpa).__name__,
            )

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            q, k, v, mask = inputs
            return *kernel.before(q, k, v), mask

        def after(_: nn.Module, inputs: tuple[Any, ...], heads: Tensor) -> Tensor:
            q, k, v, mask = inputs
            return kernel.after(q, k, v, mask, heads, sdpa)  # pyright: ignore[reportArgumentType]

        handles = sdpa.register_forward_pre_hook(before), sdpa.register_forward_hook(after)

        def detach() -> None:
            for handle in handles:
                handle.remove()

        return detach

    return HookPoint(tuple(prefix + name for name in KERNEL_ACTIVATIONS), attach)


def has_reference(sdpa: nn.Module) -> bool:
    """True if `scores` or `weights` describe this module's own `forward`.

    A subclass with a new `forward` and inherited `scores` and `weights` computes something else than they
    say.
    """
    classes = type(sdpa).__mro__

    def depth(method: str) -> int:
        return next((i for i, each in enumerate(classes) if method in vars(each)), len(classes))

    if not (hasattr(sdpa, "scores") and hasattr(sdpa, "weights")):
        return False
    return min(depth("scores"), depth("weights")) <= depth("forward")


class KernelHook:
    """Observes one call of an attention kernel, before and after.

    A fast kernel does not return its weights. So the reference computes scores and weights a second time, in
    float32. The model continues with the kernel's own output, unless scores or weights were replaced.
    """

    def __init__(self, prefix: str, hook: ActivationHook) -> None:
        self.prefix, self.hook = prefix, hook
        scores, masked, weights = (prefix + name for name in SCORE_ACTIVATIONS)
        self.wants_scores = hook.wants(scores) or hook.wants(masked)
        self.replaces_scores = hook.replaces(scores) or hook.replaces(masked)
        self.is_replaced = self.replaces_scores or hook.replaces(weights)
        self.needs_reference = self.wants_scores or hook.wants(weights)

    def _observe(self, name: str, value: Tensor) -> Tensor:
        return self.hook.observe(self.prefix + name, value)

    def before(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Observe queries, keys and values. Return those that the kernel gets."""
        return self._observe("q", q), self._observe("k", k), self._observe("v", v)

    def after(
        self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask, heads: Tensor, reference: AttentionReference
    ) -> Tensor:
        """Observe scores, weights and heads (B, H, T, D).

        Return the heads that the model continues with.
        """
        if self.needs_reference:
            with torch.autocast(q.device.type, enabled=False):
                weights = self._weights(q, k, mask, reference)
                if self.is_replaced:
                    v = v.repeat_interleave(
                        q.shape[1] // v.shape[1], dim=1
                    )  # (B, H_kv, S, D) -> (B, H, S, D)
                    heads = (weights @ v.to(weights.dtype)).to(heads.dtype)
        return self._observe("heads", heads)

    def _weights(self, q: Tensor, k: Tensor, mask: AttnMask, reference: AttentionReference) -> Tensor:
        if not self.wants_scores:
            return self._observe("weights", reference.weights(q, k, mask))
        scores = reference.scores(q, k)
        if self.replaces_scores and not _is_softmax(scores, q, k, mask, reference):
            raise UserError(
                "{prefix}scores: cannot be edited, since {name} does not take a plain softmax of its "
                "scores. Edit `weights` instead.",
                prefix=self.prefix,
                name=type(reference).__name__,
            )
        scores = self._observe("scores", scores)
        masked = self._observe("masked_scores", masked_scores(scores, mask))
        weights = masked.softmax(dim=-1) if self.replaces_scores else reference.weights(q, k, mask)
        return self._observe("weights", weights)


def _is_softmax(scores: Tensor, q: Tensor, k: Tensor, mask: AttnMask, reference: AttentionReference) -> bool:
    """True if the weights are the softmax of the masked scores: not so with attention sinks."""
    softmax = masked_scores(scores, mask).softmax(dim=-1)
    return torch.allclose(softmax, reference.weights(q, k, mask), atol=1e-5)
