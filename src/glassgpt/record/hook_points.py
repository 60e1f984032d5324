"""What there is to see in a model, by stable names, and where each of it passes by.

A name is the path of a module and what is seen there: `blocks.3.attn.weights`, `encoder.blocks.0.resid_mid`.
Models of GlassGPT are read here, those of Hugging Face in huggingface.py; record.py does the watching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glassgpt.models import Model, Transformer
from glassgpt.nn import Attention, AttnMask, Block, attention_scores, masked_scores

KERNEL = ("q", "k", "v", "scores", "masked_scores", "weights", "heads")
"""What passes an attention kernel, in this order: queries (B, H, T, D), keys and values (B, H_kv, S, D), the
scaled scores, those with −∞ where nobody may look, and the weights (B, H, T, S), and what each head gathers
(B, H, T, D)."""


class ActivationHook(Protocol):
    """Whoever looks: is shown each tensor that it wants, and may hand back another in its place."""

    def wants(self, name: str) -> bool: ...

    def replaces(self, name: str) -> bool: ...

    def see(self, name: str, value: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Part:
    """One place in a model: what can be seen there, and how to begin to look (returns how to end it)."""

    names: tuple[str, ...]
    attach: Callable[[ActivationHook], Callable[[], None]]


@dataclass(frozen=True)
class HookPoints:
    """All places of a model, in the order of computing within each block."""

    parts: Sequence[Part]
    read: Callable[[Tensor], Tensor] | None = None
    """From a state of the residual stream to logits, as after the last block; None where there are none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that can be seen."""
        return tuple(name for part in self.parts for name in part.names)

    @contextmanager
    def watched_by(self, watcher: ActivationHook) -> Iterator[None]:
        """Show the watcher what it wants while the model runs in here; the rest stays untouched."""
        with ExitStack() as stack:
            for part in self.parts:
                if any(watcher.wants(name) for name in part.names):
                    stack.callback(part.attach(watcher))
            yield


def hook_points(model: Model) -> HookPoints:
    """The anatomy of a model of GlassGPT, the encoder or eye that belongs to it included."""
    parts: list[Part] = []
    for path, module in model.named_modules():
        prefix = path + "." if path else ""
        if isinstance(module, Block):
            parts += _block(prefix, module)
        elif isinstance(module, Transformer):
            parts.append(at_output(module.norm_f, prefix + "norm_f"))
    if model.output_head is not None:
        parts.append(at_output(model.output_head, "logits"))
    if not isinstance(model, Transformer) or model.output_head is None:
        return HookPoints(parts)
    return HookPoints(parts, lambda h: model.head(model.norm_f(h)))


def _block(prefix: str, block: Block) -> list[Part]:
    parts = [at_input(block, prefix + "resid_pre"), *_attention(prefix + "attn.", block.attn)]
    after = block.norm_2
    if block.cross_attn is not None and block.norm_cross is not None:
        parts += [
            at_input(block.norm_cross, prefix + "resid_mid"),
            *_attention(prefix + "cross_attn.", block.cross_attn),
        ]
        parts.append(at_input(after, prefix + "resid_cross"))
    else:
        parts.append(at_input(after, prefix + "resid_mid"))
    return [
        *parts,
        at_input(block.mlp.proj, prefix + "mlp.hidden"),
        at_output(block.mlp, prefix + "mlp.out"),
        at_output(block, prefix + "resid_post"),
    ]


def _attention(prefix: str, attention: Attention) -> list[Part]:
    return [_at_kernel(attention.sdpa, prefix), at_output(attention, prefix + "out")]


def at_input(module: nn.Module, name: str) -> Part:
    """Where a module is given its first argument."""

    def attach(watcher: ActivationHook) -> Callable[[], None]:
        def look(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return watcher.see(name, given[0]), *given[1:]

        return module.register_forward_pre_hook(look).remove

    return Part((name,), attach)


def at_output(module: nn.Module, name: str) -> Part:
    """Where a module returns its tensor, or the first of several things."""

    def attach(watcher: ActivationHook) -> Callable[[], None]:
        def look(_: nn.Module, __: object, out: Any) -> Any:
            if isinstance(out, tuple):
                return watcher.see(name, out[0]), *out[1:]
            return watcher.see(name, out)

        return module.register_forward_hook(look).remove

    return Part((name,), attach)


def _at_kernel(core: nn.Module, prefix: str) -> Part:
    """Around the kernel of one of our attentions."""

    def attach(watcher: ActivationHook) -> Callable[[], None]:
        kernel = Kernel(prefix, watcher)

        def before(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            q, k, v, mask = given
            return *kernel.before(q, k, v), mask

        def after(_: nn.Module, given: tuple[Any, ...], heads: Tensor) -> Tensor:
            q, k, v, mask = given
            return kernel.after(q, k, v, mask, heads)

        handles = core.register_forward_pre_hook(before), core.register_forward_hook(after)

        def detach() -> None:
            for handle in handles:
                handle.remove()

        return detach

    return Part(tuple(prefix + name for name in KERNEL), attach)


class Kernel:
    """What is seen before and after one call of an attention kernel, which itself shows no weights.

    Scores and weights are computed a second time, readably and in float32; the kernel's own output goes on,
    unless one of them was replaced.
    """

    def __init__(self, prefix: str, watcher: ActivationHook) -> None:
        self.prefix, self.watcher = prefix, watcher
        hidden = [prefix + name for name in ("scores", "masked_scores", "weights")]
        self.is_wanted = any(watcher.wants(name) for name in hidden)
        self.is_replaced = any(watcher.replaces(name) for name in hidden)

    def _see(self, name: str, value: Tensor) -> Tensor:
        return self.watcher.see(self.prefix + name, value)

    def before(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values as the kernel is to get them."""
        return self._see("q", q), self._see("k", k), self._see("v", v)

    def after(
        self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask, heads: Tensor, scale: float | None = None
    ) -> Tensor:
        """What the heads gathered (B, H, T, D), as it is to go on."""
        if self.is_wanted:
            with torch.autocast(q.device.type, enabled=False):
                scores = self._see("scores", attention_scores(q, k, scale))
                scores = self._see("masked_scores", masked_scores(scores, mask))
                weights = self._see("weights", scores.softmax(dim=-1))
                if self.is_replaced:
                    v = v.repeat_interleave(q.shape[1] // v.shape[1], dim=1)  # (B, H, S, D)
                    heads = (weights @ v.to(weights.dtype)).to(heads.dtype)
        return self._see("heads", heads)
