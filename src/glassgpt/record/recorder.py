"""Watching a model while it runs: `record` keeps what passes by, `edit` puts something else in its place.

The model has no flag for being watched: hooks are set when a block is entered and gone when it is left, so an
unwatched run pays nothing, and a watched one computes the same bits.
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
from glassgpt.models import Model
from glassgpt.record.hook_points import HookPoints, hook_points

Edit = Callable[[Tensor], Tensor]
"""From a tensor to the one that takes its place, of the same shape."""


class Recording(Mapping[str, Tensor]):
    """What was seen, by name, in the order of computing; of several runs, the last."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        """Everything that could be seen in this model."""
        self._seen: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name in self._seen:
            return self._seen[name]
        if name in self.names:
            raise KeyError(f"{name} was not recorded: the pattern leaves it out, or that part did not run")
        raise KeyError(_unknown(name, self.names))

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def __repr__(self) -> str:
        rows = [f"  {name}: {tuple(value.shape)}" for name, value in self._seen.items()]
        return "\n".join([f"Recording of {len(self)} tensors", *rows])

    def keep(self, name: str, value: Tensor) -> None:
        """Add what was seen, or put it in the place of what was seen before."""
        self._seen.pop(name, None)
        self._seen[name] = value


def activation_names(model: nn.Module) -> tuple[str, ...]:
    """The names of everything that can be recorded or edited in a model."""
    return anatomy(model).names


def record(
    model: nn.Module,
    pattern: str | Sequence[str] = "*",
    *,
    edits: Mapping[str, Edit] | None = None,
    detach: bool = True,
) -> AbstractContextManager[Recording]:
    """Record what passes through a model inside a `with` block.

    model: of GlassGPT, or GPT-2 or Qwen3 of Hugging Face; compiled ones run eagerly meanwhile.
    pattern: names, or patterns with `*`, as `activation_names` lists them. edits: as in `edit`; the edited
    value is recorded. detach: keep copies without gradients; False keeps the tensors themselves.
    Raises UserError for a pattern that fits no name, RuntimeError at the end where nothing was captured.

    >>> from glassgpt.config import ModelConfig
    >>> from glassgpt.models import build
    >>> model = build(ModelConfig(size="nano"), 65)
    >>> with record(model, "blocks.0.attn.weights") as seen:
    ...     _ = model(torch.zeros(1, 3, dtype=torch.int64))
    >>> seen["blocks.0.attn.weights"].shape, seen["blocks.0.attn.weights"][0, 0, 0].tolist()
    (torch.Size([1, 4, 3, 3]), [1.0, 0.0, 0.0])
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    return _watch(anatomy(model), patterns, edits or {}, detach)


def edit(model: nn.Module, edits: Mapping[str, Edit]) -> AbstractContextManager[Recording]:
    """Let something else take the place of what passes through a model inside a `with` block.

    edits: by name or pattern, a function from the tensor to the one that takes its place: see `edits.py` for
    those that are wanted most, heads switched off and states of another run patched in. Replacing scores or
    weights makes the heads gather by them. Raises as `record` does.
    """
    return _watch(anatomy(model), [], edits, detach=True)


def anatomy(model: nn.Module) -> HookPoints:
    """What there is to see in a model. Raises UserError for one that nobody here knows."""
    original = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(original, Model):
        return hook_points(original)
    if type(original).__module__.startswith("transformers."):
        from glassgpt.record.huggingface import huggingface_hook_points

        return huggingface_hook_points(original)
    raise UserError(
        f"cannot look into a {type(original).__name__}: give a model of GlassGPT, or a GPT-2 or Qwen3 of "
        "transformers"
    )


@contextmanager
def _watch(
    model: HookPoints, patterns: Sequence[str], edits: Mapping[str, Edit], detach: bool
) -> Iterator[Recording]:
    recording = Recording(model.names)
    watcher = _Watcher(recording, patterns, edits, detach)
    with _eager(), model.watched_by(watcher):
        yield recording
    if not watcher.has_seen:
        raise RuntimeError(
            "nothing was captured: run the model inside the `with` block, and by its own forward or trunk"
        )


def _eager() -> AbstractContextManager[object]:
    """Compiled models run as written: code compiled before a hook was set would pass it by."""
    if "torch._dynamo" not in sys.modules:  # nothing can be compiled yet, and importing it takes a second
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


class _Watcher:
    """Keeps what fits the patterns, and edits what is to be edited."""

    def __init__(
        self, recording: Recording, patterns: Sequence[str], edits: Mapping[str, Edit], detach: bool
    ) -> None:
        self.recording, self.detach, self.has_seen = recording, detach, False
        names = recording.names
        self.kept = {name for pattern in patterns for name in _matching(pattern, names)}
        self.edits: dict[str, Edit] = {}
        for pattern, change in edits.items():
            self.edits |= dict.fromkeys(_matching(pattern, names), change)

    def wants(self, name: str) -> bool:
        return name in self.kept or name in self.edits

    def replaces(self, name: str) -> bool:
        return name in self.edits

    def see(self, name: str, value: Tensor) -> Tensor:
        if not self.wants(name):
            return value
        self.has_seen = True
        if name in self.edits:
            value = _edited(name, value, self.edits[name])
        if name in self.kept:
            self.recording.keep(name, value.detach().clone() if self.detach else value)
        return value


def _edited(name: str, value: Tensor, change: Edit) -> Tensor:
    new = change(value)
    if new.shape != value.shape:
        raise UserError(
            f"the edit of {name} gives shape {tuple(new.shape)}, but {tuple(value.shape)} must take its place"
        )
    return new.to(value)


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(_unknown(pattern, names))
    return found


def _unknown(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; near it: {', '.join(near)}" if near else ""
    return f"nothing in this model is called {name!r}{hint} (`activation_names(model)` lists all names)"
