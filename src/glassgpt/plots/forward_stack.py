"""Stacks of blocks in a trace, with shapes and numbers, for `plot_forward`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.language import _
from glassgpt.lens import Trace
from glassgpt.plots.slide import number

ENCODERS = ("encoder.", "vision_encoder.")


@dataclass(frozen=True)
class Stack:
    """One stack of blocks: the decoder or only one, or the encoder of a source."""

    trace: Trace
    prefix: str
    """Beginning of its names: "" for the decoder or the only stack."""
    labels: tuple[str, ...]
    ids: tuple[int, ...]
    row: int
    """Position whose numbers are shown."""

    @property
    def config(self) -> ModelConfig:
        """The model's configuration."""
        return ModelConfig.model_validate(dict(self.trace.config))

    @property
    def T(self) -> int:
        """Number of tokens."""
        return len(self.labels)

    @property
    def C(self) -> int:
        """Width of the stream."""
        return self.config.n_embd

    @property
    def n_vocab(self) -> int:
        """Number of logits."""
        return self.trace.tensors["logits"].shape[-1]

    @property
    def n_layer(self) -> int:
        """Number of blocks; 0 for a bigram."""
        paths = [name for name in self.trace.tensors if name.startswith(f"{self.prefix}blocks.")]
        return len({name.removeprefix(self.prefix).split(".")[1] for name in paths})

    @property
    def shown(self) -> list[int]:
        """The first and the last block."""
        return sorted({0, self.n_layer - 1}) if self.n_layer else []

    @property
    def name(self) -> str:
        """The name of the stack."""
        if self.prefix or self.config.family == "encoder":
            return _("encoder")
        return _("decoder") if self.n_layer else _("bigram table")

    @property
    def is_image(self) -> bool:
        """True if its tokens are the patches of an image."""
        return self.prefix == "vision_encoder."

    def tensor(self, name: str) -> Tensor:
        """Return a recorded activation of this stack."""
        return self.trace.tensors[self.prefix + name]

    def has(self, name: str) -> bool:
        """True if the trace has an activation of this stack."""
        return self.prefix + name in self.trace.tensors

    def shape(self, name: str) -> str:
        """Return the shape of an activation with its batch: `(1,13,64)`."""
        return written(1, *self.tensor(name).shape)

    def numbers(self, name: str) -> list[str]:
        """Return the first numbers of an activation (T, C) at the shown position."""
        return [number(value, 2) for value in self.tensor(name)[self.row, :3].tolist()]

    def sources(self) -> list[str]:
        """Return how the stream begins: the tables that are added up."""
        if self.is_image:
            size = self.config.patch_size**2 * self.config.channels
            return [_("patches @ W {shape}", shape=written(size, self.C)), _("+ positions")]
        shape = "" if self.config.labels else written(self.n_vocab, self.C)
        table = [_("wte[id] {shape}", shape=shape).strip()]
        ngrams = [_("+ n-grams")] if self.config.ngram_order else []
        return table + ngrams + POSITIONS[self.config.position]()


POSITIONS = {
    "learned": lambda: [_("+ wpe[position]")],
    "sinusoidal": lambda: [_("+ sines and cosines")],
    "rope": lambda: [_("RoPE turns q and k")],
    "none": lambda: [],
}
"""Words for each kind of positions."""


def written(*sizes: int) -> str:
    """Return a shape without spaces.

    >>> written(1, 13, 64)
    '(1,13,64)'
    """
    return f"({','.join(map(str, sizes))})"


def stacks_of(trace: Trace) -> list[Stack]:
    """Return the stacks of a trace, in the order of computation."""
    found = [
        Stack(trace, prefix, trace.source, trace.source_ids, 0)
        for prefix in ENCODERS
        if f"{prefix}norm_f" in trace.tensors
    ]
    return [*found, Stack(trace, "", trace.tokens, trace.ids, min(predicting(trace), len(trace.tokens) - 1))]


def predicting(trace: Trace) -> int:
    """Return the position whose prediction is shown.

    The first mask of an encoder, where a translator or captioner begins its answer, or else the last one.
    """
    n = len(trace.predictions)
    if "<mask>" in trace.tokens:
        return trace.tokens.index("<mask>")
    return min(trace.n_prompt, n) - 1 if trace.source else n - 1


def fitting(texts: Sequence[str], fits: int) -> str:
    """Join the first numbers, with dots for the others.

    >>> fitting(["1", "2", "3"], 2)
    '1 2 …'
    """
    return " ".join([*texts[:fits], "…"])
