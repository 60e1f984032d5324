"""Check of the layers: each output is the one that its weights give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.data import IGNORE
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import ModelParts, category_of
from glassgpt.doctor.probes import run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

ROUNDING = 1e-3
"""Largest distance from the expected output, as a share of it, that counts as rounding."""
SHIFTS = (1, -1, 2, -2)
LEAST_COST = 0.01
"""Share of the loss that a factor of the logits costs, at least; a scale that is meant lowers the loss."""
MANY_PARTS = 3
"""Categories of a block's layers from which the block itself is off, not one of its parts."""
SCALED: dict[str, str] = {
    "output": N_("logits have the wrong size"),
    "mlp": N_("the MLP's output has the wrong size"),
    "attention": N_("the attention's output has the wrong size"),
}
ZERO: dict[str, str] = {
    "attention": N_("queries or keys are zero"),
    "positions": N_("position vectors are zero"),
}


@dataclass(frozen=True)
class Deviation:
    """A layer whose output is not that of its weights."""

    path: str
    category: str
    output: Tensor
    expected: Tensor

    @property
    def factor(self) -> float | None:
        """The factor between expected and observed output; None if there is no single one."""
        y, e = self.output.double(), self.expected.double()
        factor = float((y * e).sum() / e.square().sum())
        return factor if (y - factor * e).norm() < ROUNDING * e.norm() else None

    @property
    def shift(self) -> int | None:
        """The number of channels by which the output is rolled; None if it is not."""
        return next((k for k in SHIFTS if not _differs(self.output, self.expected.roll(k, -1))), None)


def expected_output(module: nn.Module, x: Tensor) -> Tensor | None:
    """Compute a layer's output from its weights; None for a layer of another kind."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if not isinstance(weight, Tensor):
        return None
    if type(module) is nn.Linear:
        return F.linear(x, weight, bias)
    if type(module).__name__ == "Conv1D" and weight.ndim == 2:  # GPT-2 of transformers
        return (
            torch.addmm(bias, x.flatten(0, -2), weight).view(*x.shape[:-1], -1)
            if isinstance(bias, Tensor)
            else None
        )
    if type(module) is nn.Embedding:
        return F.embedding(x, weight) if not x.is_floating_point() else None
    if type(module) is nn.LayerNorm:
        return F.layer_norm(x, module.normalized_shape, weight, bias, module.eps)
    if "RMSNorm" in type(module).__name__ and weight.shape == x.shape[-1:]:
        eps = getattr(module, "eps", None) or getattr(module, "variance_epsilon", None)
        return F.rms_norm(x, weight.shape, weight, eps)
    return None


def _differs(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() > ROUNDING * other.norm().clamp(min=1e-9))


@torch.no_grad()
def deviations(s: Subject) -> list[Deviation]:
    """Return the layers whose output is not that of their weights, in the order in which they run."""
    layers = {path: m for path, m in s.model.named_modules() if path and not any(True for _ in m.children())}
    found: list[Deviation] = []
    for path, x, y in run_watched(s.model, layers, s.logits):
        expected = None if x is None or y is None else expected_output(layers[path], x)
        if y is None or expected is None or y.shape != expected.shape or y.dtype != expected.dtype:
            continue
        if _differs(y, expected):
            found.append(Deviation(path, category_of(path, layers[path]), y, expected))
    return found


@torch.no_grad()
def _after_head(s: Subject) -> list[Deviation]:
    """Compare the logits with the output of the head: they may be capped or scaled, not shifted or lost."""
    head = s.parts.head
    if head is None or not s.predicts_tokens:
        return []
    logits: list[Tensor] = []
    (_, _, expected), *_ = run_watched(
        s.model, {head.path: head.module}, lambda: logits.append(s.logits())
    ) or [("", None, None)]
    if expected is None or expected.shape != logits[0].shape or not expected.any():
        return []
    found = Deviation(head.path, "output", logits[0], expected)
    is_wrong = found.shift is not None or _costs(s, found.factor)
    return [found] if is_wrong and _differs(logits[0], expected) else []


def _costs(s: Subject, factor: float | None) -> bool:
    """True if the loss would be lower without a factor of the logits, as that of another scale is not."""
    if not factor or s.is_fresh:
        return False
    logits, targets = s.logits().flatten(0, 1).float(), s.small.targets.flatten()
    now, without = (F.cross_entropy(each, targets, ignore_index=IGNORE) for each in (logits, logits / factor))
    return bool(without < (1 - LEAST_COST) * now)


def place(found: Sequence[Deviation], parts: ModelParts) -> str:
    """Return the category that the layers have in common: "residual" if many parts of blocks are off."""
    inside = [each for each in found if any(each.path.startswith(b.path + ".") for b in parts.blocks)]
    if len({each.category for each in inside}) >= MANY_PARTS:
        return "residual"
    return Counter(each.category for each in found).most_common(1)[0][0]


def _layers(s: Subject) -> Iterator[Problem]:
    if any(p.dtype != torch.float32 for p in s.model.parameters()):
        raise Skip(N_("the weights are not float32 throughout"))
    found = deviations(s) or _after_head(s)
    if all(each.category == "normalization" for each in found):
        return  # norms have variants; another check knows them
    category = place(found, s.parts)
    first = next((each for each in found if each.category == category), found[0])
    cause, observed = _described(first)
    yield Problem(
        "projections" if category == "attention" else category,
        cause,
        observed,
        N_("look for hooks and wrappers that change what the layer returns"),
        first.path,
    )


def _described(found: Deviation) -> tuple[str, str]:
    """Return the cause and the observation."""
    if not found.output.any():
        return ZERO.get(found.category, N_("a layer's output is zero")), N_("all values are zero")
    if found.factor is not None:
        cause = SCALED.get(found.category, N_("a layer's output is scaled"))
        return cause, N_("{factor:.3g} times what its weights give", factor=found.factor)
    if found.shift is not None:
        cause = N_("a layer's output is shifted")
        cause = N_("logits are shifted against the tokens") if found.category == "output" else cause
        return cause, N_("each channel holds what belongs {k} before it", k=found.shift)
    distance = float((found.output - found.expected).norm() / found.expected.norm().clamp(min=1e-9))
    return N_("a layer does not use its weights"), N_(
        "{share:.0%} of the output is something else", share=distance
    )


LAYERS = Check(
    N_("layer outputs"),
    N_("each returns what its weights give"),
    N_("training and loading see the weights only"),
    _layers,
)
CHECKS = (LAYERS,)
