"""A recording of one sequence that outlives its model: on disk, on the wire, and in pictures.

One safetensors file: the tensors, without a batch dimension, and a JSON header with tokens, names, shapes and
configuration. Whoever reads it needs neither the model nor torch's pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from glassgpt.errors import UserError

if TYPE_CHECKING:
    pass

VERSION = 1
Precision = Literal["float16", "float32"]
IMAGE = "image"
"""The name of what a captioner looked at, among the tensors: (channels, H, W) of uint8."""


@dataclass(frozen=True)
class Reading:
    """What each state of the residual stream would say, were it the last: the logit lens."""

    states: tuple[str, ...]
    """Names of the states, the lowest first."""
    tokens: tuple[tuple[str, ...], ...]
    """For each state, the likeliest next token at each place."""
    probabilities: tuple[tuple[float, ...], ...]
    """Of those tokens."""


@dataclass(frozen=True, repr=False)
class Trace:
    """What passed through a model as it read, and wrote, one sequence."""

    tensors: Mapping[str, Tensor]
    """By the names of `activation_names`, without the batch dimension: weights are (H, T, S)."""
    tokens: tuple[str, ...]
    """What the decoder, or the only part, was given: a label for each of T places."""
    written: tuple[str, ...] = ()
    """The token that comes after each place (T,), as given or as the model wrote it; "" where none does."""
    source: tuple[str, ...] = ()
    """What the encoder was given: labels of S tokens, or of patches, row by row."""
    begins: int = 0
    """The first place from which the model writes: before it `written` only repeats what it was asked."""
    reading: Reading | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The model's configuration."""

    def __repr__(self) -> str:
        rows = [f"  {name}: {tuple(tensor.shape)}" for name, tensor in self.tensors.items()]
        return "\n".join([f"Trace of {len(self.tokens)} tokens, {len(self.tensors)} tensors", *rows])

    @cached_property
    def attentions(self) -> tuple[str, ...]:
        """The paths of the attentions whose weights are here: blocks.0.attn, blocks.0.cross_attn …"""
        end = ".weights"
        return tuple(name.removesuffix(end) for name in self.tensors if name.endswith(end))

    @property
    def image(self) -> Tensor | None:
        """What was looked at: (channels, H, W) of uint8."""
        return self.tensors.get(IMAGE)

    def attention(self, layer: int, kind: str | None = None) -> str:
        """The path of an attention. kind: attn, cross or encoder; by default cross where there is one.

        Raises UserError where there is none.
        """
        kinds = self.kinds
        kind = kind or ("cross" if "cross" in kinds else next(iter(kinds), "attn"))
        paths = kinds.get(kind, [])
        if not -len(paths) <= layer < len(paths):
            there = ", ".join(f"{name} with layers 0 to {len(found) - 1}" for name, found in kinds.items())
            raise UserError(
                f"there is no {kind} in layer {layer}; there is: {there or 'no attention at all'}"
            )
        return paths[layer]

    @cached_property
    def kinds(self) -> dict[str, list[str]]:
        """The paths of the attentions by kind (cross, attn, encoder), the first layer first."""
        kinds: dict[str, list[str]] = {}
        for path in self.attentions:
            kind = (
                "encoder" if not path.startswith("blocks.") else path.rsplit(".", 1)[1].removesuffix("_attn")
            )
            kinds.setdefault(kind, []).append(path)
        return kinds

    def weights(self, layer: int, head: int | None = None, kind: str | None = None) -> Tensor:
        """(H, T, S) of a layer, or (T, S) of one of its heads."""
        path = self.attention(layer, kind)
        weights = self.tensors[f"{path}.weights"].float()
        if head is None:
            return weights
        if not 0 <= head < len(weights):
            raise UserError(
                f"there is no head {head} in {path}: they are numbered from 0 to {len(weights) - 1}"
            )
        return weights[head]

    def labels(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Who looks and at whom: labels of the rows and columns of an attention's weights.

        Under cross-attention a row is named after the token that is written from there.
        """
        if not path.startswith("blocks."):
            return self.source, self.source
        if path.endswith(".cross_attn"):
            return self.written or self.tokens, self.source
        return self.tokens, self.tokens

    def select(self, pattern: str | Sequence[str], head: int | None = None) -> Trace:
        """Only tensors whose names fit, and of those of a kernel, only one head."""
        kept = {name: _head(name, t, head) for name, t in self.tensors.items() if _fits(name, pattern)}
        return replace(self, tensors=kept)

    def to_bytes(self, precision: Precision = "float16") -> bytes:
        """The file, for a wire. What half precision cannot hold stays in single precision."""
        tensors = {name: _packed(tensor, precision) for name, tensor in self.tensors.items()}
        return save(tensors, {"trace": json.dumps(self.header(), ensure_ascii=False)})

    def header(self) -> dict[str, Any]:
        """Everything but the numbers."""
        return {
            "version": VERSION,
            "tokens": self.tokens,
            "written": self.written,
            "source": self.source,
            "begins": self.begins,
            "reading": vars(self.reading) if self.reading else None,
            "shapes": {name: list(tensor.shape) for name, tensor in self.tensors.items()},
            "config": dict(self.config),
        }

    def save(self, path: Path | str, precision: Precision = "float16") -> Path:
        """Write the file. Raises UserError where that fails, and leaves what was there."""
        path = Path(path)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(self.to_bytes(precision))
            aside.replace(path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from error
        return path

    @classmethod
    def from_bytes(cls, data: bytes) -> Trace:
        """The inverse of `to_bytes`. Raises UserError for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + size])["__metadata__"]["trace"]
            return _made(json.loads(header), load(data))
        except (SafetensorError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise UserError(f"these bytes are no trace ({error}); record it anew") from error

    @classmethod
    def load(cls, path: Path | str, pattern: str | Sequence[str] = "*", head: int | None = None) -> Trace:
        """Read a trace, or of it only what fits: a layer (`blocks.3.*`), of each kernel only one head.

        Nothing else is read from disk. Raises UserError for a file that is no trace.
        """
        try:
            with safe_open(path, "pt") as file:
                header = json.loads(file.metadata()["trace"])
                names = [name for name in file.keys() if _fits(name, pattern)]
                if not names:
                    there = ", ".join(header["shapes"])
                    raise UserError(f"nothing in {path} fits {pattern!r}; there is: {there}")
                found = {name: _read(file, name, head) for name in names}
            return _made(header, found)
        except UserError:
            raise
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no trace that can be read ({error}); record it anew") from error


KERNEL_ENDS = (".q", ".k", ".v", ".scores", ".masked_scores", ".weights", ".heads")


def _fits(name: str, pattern: str | Sequence[str]) -> bool:
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return any(fnmatchcase(name, each) for each in patterns)


def _head(name: str, tensor: Tensor, head: int | None) -> Tensor:
    return tensor if head is None or not name.endswith(KERNEL_ENDS) else tensor[head : head + 1]


def _read(file: Any, name: str, head: int | None) -> Tensor:
    if head is None or not name.endswith(KERNEL_ENDS):
        return file.get_tensor(name)
    if not 0 <= head < (n := file.get_slice(name).get_shape()[0]):
        raise UserError(f"{name} has no head {head}: they are numbered from 0 to {n - 1}")
    return file.get_slice(name)[head : head + 1]


def _packed(tensor: Tensor, precision: Precision) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous()
    if precision == "float16":
        half = tensor.half()
        # −∞ of a mask is meant; an overflow is not.
        if torch.equal(half.isinf(), tensor.isinf()):
            return half.contiguous()
    return tensor.float().contiguous()


def _made(header: dict[str, Any], tensors: dict[str, Tensor]) -> Trace:
    if header["version"] != VERSION:
        raise ValueError(f"it is of version {header['version']}, not {VERSION}")
    order = {name: place for place, name in enumerate(header["shapes"])}
    tensors = dict(sorted(tensors.items(), key=lambda item: order[item[0]]))
    tokens, written, source = (tuple(header[name]) for name in ("tokens", "written", "source"))
    reading = header["reading"]
    read = reading and Reading(**_tuples(reading))
    return Trace(tensors, tokens, written, source, header["begins"], read, header["config"])


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
