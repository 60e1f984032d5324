"""Record activations during a forward pass with `record`, replace them with `edit`.

The model has no flag for this. Hooks exist only inside the `with` block: a model without them pays nothing,
and a recorded model computes the same bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.hooks.hook_points import HookPoints, model_hook_points
from glassgpt.language import _
from glassgpt.models import Model

Edit = Callable[[Tensor], Tensor]
"""Function from an activation to its replacement, of the same shape."""


class Recording(Mapping[str, Tensor]):
    """Recorded activations by name, in the order of computation.

    After several forward passes it holds the last value of each name.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        """Names of all activations of this model."""
        self._seen: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name in self._seen:
            return self._seen[name]
        if name in self.names:
            raise KeyError(f"{name} was not recorded: the pattern excludes it, or that part did not run.")
        raise KeyError(_unknown(name, self.names))

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def __repr__(self) -> str:
        rows = [f"  {name}: {tuple(value.shape)}" for name, value in self._seen.items()]
        return "\n".join([f"Recording of {len(self)} tensors", *rows])

    def keep(self, name: str, value: Tensor) -> None:
        """Add an activation, or overwrite the one of the same name."""
        self._seen.pop(name, None)
        self._seen[name] = value


def activation_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of all activations that can be recorded or edited."""
    return find_hook_points(model).names


def record(
    model: nn.Module,
    pattern: str | Sequence[str] = "*",
    *,
    edits: Mapping[str, Edit] | None = None,
    detach: bool = True,
) -> AbstractContextManager[Recording]:
    """Record the activations of a model inside a `with` block.

    model: a GlassGPT model, or GPT-2 or Qwen3 of Hugging Face; compiled models run eagerly meanwhile.
    pattern: names, or patterns with `*`, as `activation_names` lists them. edits: as in `edit`; the edited
    value is recorded. detach: keep copies without gradients; False keeps the tensors themselves.
    Raises UserError for a pattern that matches no name, and RuntimeError at the end if nothing was captured.

    >>> from glassgpt.config import ModelConfig
    >>> from glassgpt.models import build
    >>> model = build(ModelConfig(size="nano"), 65)
    >>> with record(model, "blocks.0.attn.weights") as seen:
    ...     _ = model(torch.zeros(1, 3, dtype=torch.int64))
    >>> seen["blocks.0.attn.weights"].shape, seen["blocks.0.attn.weights"][0, 0, 0].tolist()
    (torch.Size([1, 4, 3, 3]), [1.0, 0.0, 0.0])
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    return _attached(find_hook_points(model), patterns, edits or {}, detach)


def edit(model: nn.Module, edits: Mapping[str, Edit]) -> AbstractContextManager[Recording]:
    """Replace activations of a model inside a `with` block.

    edits: for each name or pattern, a function from the activation to its replacement. `zero_heads`, `patch`
    and `zero` make common ones. If scores or weights are replaced, the heads use the new weights. Raises the
    same errors as `record`.
    """
    return _attached(find_hook_points(model), [], edits, detach=True)


def find_hook_points(model: nn.Module) -> HookPoints:
    """Return the hook points of a model.

    Raises UserError for an unknown kind of model.
    """
    original = getattr(model, "_orig_mod", model)  # the module inside torch.compile
    if isinstance(original, Model):
        return model_hook_points(original)
    if type(original).__module__.startswith("transformers."):
        from glassgpt.hooks.huggingface import huggingface_hook_points

        return huggingface_hook_points(original)
    raise UserError(
        "cannot look into a {name}: its hook points are unknown. Pass a model of GlassGPT, or a GPT-2 or "
        "Qwen3 of transformers.",
        name=type(original).__name__,
    )


@contextmanager
def _attached(
    points: HookPoints, patterns: Sequence[str], edits: Mapping[str, Edit], detach: bool
) -> Iterator[Recording]:
    recorder = _Recorder(points.names, patterns, edits, detach)
    with _eager(), points.attach(recorder):
        yield recorder.recording
    if not recorder.has_observed:
        raise RuntimeError(
            "nothing was captured: run the model inside the `with` block, and by its own forward or trunk"
        )


def _eager() -> AbstractContextManager[object]:
    """Run compiled models eagerly: their compiled code would skip new hooks."""
    if "torch._dynamo" not in sys.modules:  # nothing can be compiled yet, and importing it takes a second
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


class _Recorder:
    """Activation hook that keeps what fits the patterns, and applies the edits."""

    def __init__(
        self, names: Sequence[str], patterns: Sequence[str], edits: Mapping[str, Edit], detach: bool
    ) -> None:
        self.recording, self.detach, self.has_observed = Recording(names), detach, False
        self.kept = {name for pattern in patterns for name in _matching(pattern, names)}
        self.edits: dict[str, Edit] = {}
        for pattern, change in edits.items():
            self.edits |= dict.fromkeys(_matching(pattern, names), change)

    def wants(self, name: str) -> bool:
        """True if the activation is kept or edited."""
        return name in self.kept or name in self.edits

    def replaces(self, name: str) -> bool:
        """True if the activation is edited."""
        return name in self.edits

    def observe(self, name: str, value: Tensor) -> Tensor:
        """Edit and keep an activation."""
        if not self.wants(name):
            return value
        self.has_observed = True
        if name in self.edits:
            value = _edited(name, value, self.edits[name])
        if name in self.kept:
            self.recording.keep(name, value.detach().clone() if self.detach else value)
        return value


def _edited(name: str, value: Tensor, change: Edit) -> Tensor:
    edited = change(value)
    if edited.shape != value.shape:
        raise UserError(
            "the edit of {name}: returns shape {shape}, expected {expected}. Return a tensor of the same "
            "shape.",
            name=name,
            shape=tuple(edited.shape),
            expected=tuple(value.shape),
        )
    return edited.to(value)


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(_unknown(pattern, names))
    return found


def _unknown(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = _(" Did you mean {names}?", names=", ".join(near)) if near else ""
    known = _("`activation_names(model)` lists all names.")
    return _("{name!r}: no activation of this model has this name.", name=name) + f"{hint} {known}"
