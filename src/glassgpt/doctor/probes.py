"""Probes: watch the modules and the attention of any model while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)
MATMUL = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm)
HIDDEN = -1e4
"""Scores below it are masked."""


def first_tensor(value: Any) -> Tensor | None:
    """Return a tensor, or the first one of a tuple."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list):
        return next((each for each in value if isinstance(each, Tensor)), None)
    return None


@dataclass(frozen=True)
class AttentionCall:
    """One attention: raw q · k (B, H, T, S), masked scores, weights, and dropout.

    `raw` and `scale` are None if the scores were not seen as a product. `width` is that of a query.
    """

    path: str
    scores: Tensor
    weights: Tensor
    raw: Tensor | None = None
    width: int | None = None
    dropout: float = 0.0
    dropout_on_scores: bool = False

    @property
    def allowed(self) -> Tensor:
        """True where a query may look, (B, H, T, S)."""
        return (self.scores > HIDDEN) & self.scores.isfinite()

    @property
    def scale(self) -> float | None:
        """The factor between the products and the scores: the median of their ratios.

        With several rows it compares their differences, in which a bias of positions cancels.
        """
        if self.raw is None or self.raw.shape != self.scores.shape:
            return None
        raw, scores, allowed = self.raw, self.scores, self.allowed
        if len(raw) > 1:
            raw, allowed = raw[1:] - raw[:-1], allowed[1:] & allowed[:-1]
            scores = torch.where(allowed, scores[1:] - scores[:-1], 0.0)
        usable = allowed & (raw.abs() > 1e-3 * raw.abs().max())
        return float((scores / raw)[usable].median()) if usable.any() else None


class FunctionProbe(TorchFunctionMode):
    """Sees softmax, matrix products and dropout, wherever a model calls them.

    no_dropout: replace dropout by the identity. score_scale: multiply every attention score. exchange: let
    queries and keys play each other's role, in modules below `within`.
    """

    def __init__(
        self,
        *,
        keep: bool = True,
        no_dropout: bool = False,
        score_scale: float = 1.0,
        exchange: bool = False,
        within: str = "",
    ) -> None:
        super().__init__()
        self.keep, self.no_dropout, self.score_scale = keep, no_dropout, score_scale
        self.exchange, self.within = exchange, within
        self.calls: list[AttentionCall] = []
        self.dropouts: list[tuple[str, float, torch.Size]] = []
        self.path = ""
        self._product: tuple[Tensor, int] | None = None
        self._dropped: str | None = None  # path of a dropout since the last softmax

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return self._sdpa(*args, **options)
        if func is F.dropout:
            return self._dropout(func, args, options)
        if func in SOFTMAX and args and args[0].ndim >= 3 and args[0].is_floating_point():
            return self._softmax(func, args, options)
        result = func(*args, **options)
        if func in MATMUL and self._is_exchanged() and is_product(result, args[0]):
            return result.mT
        if func in MATMUL and self.keep and isinstance(result, Tensor) and result.ndim >= 3:
            self._product = (result.detach(), args[0].shape[-1])
        return result

    def _dropout(self, func: Callable[..., Any], args: Any, options: dict[str, Any]) -> Any:
        x = args[0] if args else options["input"]
        p = args[1] if len(args) > 1 else options.get("p", 0.5)
        training = args[2] if len(args) > 2 else options.get("training", True)
        if training and p:
            self.dropouts.append((self.path, float(p), x.shape))
            self._dropped = self.path
        return x if self.no_dropout else func(*args, **options)

    def _softmax(self, func: Callable[..., Any], args: Any, options: dict[str, Any]) -> Tensor:
        scores = args[0]
        if scores.ndim < 4 and "attn" not in self.path and "attention" not in self.path:
            return func(*args, **options)
        if self.score_scale != 1:
            hidden = scores < HIDDEN
            args = (torch.where(hidden, scores, scores * self.score_scale), *args[1:])
        weights = func(*args, **options)
        if self.keep:
            product, width = self._product or (None, None)
            same = product is not None and product.shape == scores.shape
            self.calls.append(
                AttentionCall(
                    self.path,
                    scores.detach().float(),
                    weights.detach().float(),
                    product.float() if same and product is not None else None,
                    width if same else None,
                    dropout_on_scores=self._is_early(),
                )
            )
        self._dropped = None
        return weights

    def _is_exchanged(self) -> bool:
        return self.exchange and f"{self.path}.".startswith(f"{self.within}." if self.within else "")

    def _is_early(self) -> bool:
        """True if a dropout ran inside this attention before its softmax."""
        return self._dropped is not None and bool(self.path) and self._dropped.startswith(self.path)

    def _sdpa(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if dropout_p:
            self.dropouts.append((self.path, dropout_p, query.shape))
        if self._is_exchanged() and query.shape == key.shape:
            query, key = key, query
        D = query.shape[-1]
        factor = D**-0.5 if scale is None else scale
        if self.keep:
            k = key.repeat_interleave(query.shape[1] // key.shape[1], 1) if enable_gqa else key
            raw = query.detach().float() @ k.detach().float().mT  # (B, H, T, S)
            scores = raw * factor
            if is_causal:
                scores = scores.masked_fill(~torch.ones_like(scores[0, 0]).bool().tril(), -math.inf)
            elif attn_mask is not None and attn_mask.dtype == torch.bool:
                scores = scores.masked_fill(~attn_mask, -math.inf)
            elif attn_mask is not None:
                scores = scores + attn_mask.float()
            early = self._is_early()
            self.calls.append(AttentionCall(self.path, scores, scores.softmax(-1), raw, D, dropout_p, early))
            self._dropped = None
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask,
            0.0 if self.no_dropout else dropout_p,
            is_causal,
            scale=factor * self.score_scale,
            enable_gqa=enable_gqa,
        )


def is_product(result: Any, left: Any) -> bool:
    """True for scores (B, H, T, T) of queries and keys."""
    if not isinstance(result, Tensor) or result.ndim != 4 or not isinstance(left, Tensor):
        return False
    return result.shape[-1] == result.shape[-2] == left.shape[-2] != left.shape[-1]


class PathProbe(Protocol):
    """A probe that knows which module runs."""

    path: str


@contextmanager
def module_paths(model: nn.Module, probe: PathProbe) -> Iterator[None]:
    """Tell a probe which module runs."""
    stack: list[str] = []

    def enter(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            stack.append(path)
            probe.path = path

        return hook

    def leave(*_: Any) -> None:
        if stack:
            stack.pop()
        probe.path = stack[-1] if stack else ""

    handles = [m.register_forward_pre_hook(enter(path)) for path, m in model.named_modules()]
    handles += [m.register_forward_hook(leave) for m in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def watching(
    modules: Mapping[str, nn.Module], kept: list[tuple[str, Tensor | None, Tensor | None]]
) -> Iterator[None]:
    """Keep (path, first input, first output) of modules, in the order in which they end."""

    def keep(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            given = first_tensor(args)
            if given is None:
                given = first_tensor(list(kwargs.values()))
            kept.append((path, given, first_tensor(output)))

        return hook

    handles = [m.register_forward_hook(keep(path), with_kwargs=True) for path, m in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def scaled_outputs(modules: Sequence[nn.Module], factor: float | Tensor) -> Iterator[None]:
    """Multiply the outputs of modules by a factor."""

    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return output * factor
        return (output[0] * factor, *output[1:])

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def run_watched(
    model: nn.Module, modules: Mapping[str, nn.Module], run: Callable[[], Any]
) -> list[tuple[str, Tensor | None, Tensor | None]]:
    """Return (path, first input, first output) of modules in one run."""
    kept: list[tuple[str, Tensor | None, Tensor | None]] = []
    with watching(modules, kept):
        run()
    return kept


def first_difference(
    one: list[tuple[str, Tensor | None, Tensor | None]],
    other: list[tuple[str, Tensor | None, Tensor | None]],
    differs: Callable[[Tensor, Tensor], bool],
) -> str | None:
    """Return the path of the module that ends first with a different output."""
    for (path, _, a), (_, _, b) in zip(one, other, strict=False):
        if a is not None and b is not None and a.shape == b.shape and differs(a, b):
            return path
    return None
