"""Traces: all recorded activations of one sequence, on disk and in memory.

One safetensors file: the tensors without a batch dimension, and a JSON header with tokens, names, shapes and
configuration. Reading it takes neither the model nor pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.hooks import KERNEL_ACTIVATIONS
from glassgpt.language import N_, join_texts
from glassgpt.lens.migrate import migrate_header, migrate_name
from glassgpt.safe_io import parse_json

VERSION = 2
Precision = Literal["float16", "float32"]
IMAGE = "image"
"""Name of a captioner's image among the tensors: (channels, H, W) of uint8."""
KERNEL_ENDINGS = tuple(f".{name}" for name in KERNEL_ACTIVATIONS)
"""Endings of names whose tensors have a dimension of heads, the first one."""


@dataclass(frozen=True)
class LogitLens:
    """The most probable next token at each state of the residual stream."""

    states: tuple[str, ...]
    """Names of the states, from the first block up."""
    tokens: tuple[tuple[str, ...], ...]
    """The most probable next token at each position, for each state."""
    probabilities: tuple[tuple[float, ...], ...]
    """The probabilities of those tokens."""


@dataclass(frozen=True, repr=False)
class Trace:
    """All recorded activations of one sequence, with labels. Data only: `plots` draws it."""

    tensors: Mapping[str, Tensor]
    """By the names of `activation_names`, without the batch dimension: weights are (H, T, S)."""
    tokens: tuple[str, ...]
    """Labels of the T tokens that the decoder, or the only stack of blocks, was given."""
    next_tokens: tuple[str, ...] = ()
    """The token after each position (T,), given or generated; "" if there is none."""
    source: tuple[str, ...] = ()
    """Labels of the S tokens that the encoder was given, or of image patches, row by row."""
    n_prompt: int = -1
    """Number of prompt tokens: the model generates from position n_prompt − 1. By default all tokens."""
    logit_lens: LogitLens | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The model's configuration."""
    ids: tuple[int, ...] = ()
    """Ids of the tokens (T,); empty in an old file, as the next two."""
    source_ids: tuple[int, ...] = ()
    """Ids of the source tokens (S,); empty for an image, too."""
    predictions: tuple[tuple[tuple[str, float], ...], ...] = ()
    """The most probable next tokens, or classes, at each position, with their probabilities."""

    def __post_init__(self) -> None:
        if self.n_prompt < 0:
            object.__setattr__(self, "n_prompt", len(self.tokens))

    def __repr__(self) -> str:
        rows = [f"  {name}: {tuple(tensor.shape)}" for name, tensor in self.tensors.items()]
        return "\n".join([f"Trace of {len(self.tokens)} tokens, {len(self.tensors)} tensors", *rows])

    @property
    def answer(self) -> tuple[str, ...]:
        """The tokens after the prompt, as a seq2seq or captioner generates them; empty for a text."""
        return tuple(token for token in self.next_tokens[max(self.n_prompt - 1, 0) :] if token)

    @cached_property
    def attentions(self) -> tuple[str, ...]:
        """Paths of the attention modules with recorded weights: blocks.0.attn, blocks.0.cross_attn …"""
        ending = ".weights"
        return tuple(name.removesuffix(ending) for name in self.tensors if name.endswith(ending))

    @property
    def image(self) -> Tensor | None:
        """The captioner's image: (channels, H, W) of uint8."""
        return self.tensors.get(IMAGE)

    def attention(self, layer: int, kind: str | None = None) -> str:
        """Return the path of an attention module.

        kind: attn, cross or encoder; by default cross if the model has it. Raises UserError if there is none.
        """
        kinds = self.kinds
        kind = kind or ("cross" if "cross" in kinds else next(iter(kinds), "attn"))
        paths = kinds.get(kind, [])
        if not -len(paths) <= layer < len(paths):
            there = join_texts(
                ", ",
                (
                    N_("{name} with layers 0 to {last}", name=name, last=len(found) - 1)
                    for name, found in kinds.items()
                ),
            )
            raise UserError(
                "no {kind} in layer {layer}. Recorded: {there}.",
                kind=kind,
                layer=layer,
                there=there or N_("no attention at all"),
            )
        return paths[layer]

    @cached_property
    def kinds(self) -> dict[str, list[str]]:
        """Paths of the attention modules by kind (cross, attn, encoder), in order of layers."""
        kinds: dict[str, list[str]] = {}
        for path in self.attentions:
            if path.startswith("blocks."):
                kind = path.rsplit(".", 1)[1].removesuffix("_attn")
            else:
                kind = "encoder"
            kinds.setdefault(kind, []).append(path)
        return kinds

    def layer(self, path: str) -> int:
        """Return the layer of an attention module among those of its kind."""
        return next(paths.index(path) for paths in self.kinds.values() if path in paths)

    def weights(self, layer: int, head: int | None = None, kind: str | None = None) -> Tensor:
        """Return the weights (H, T, S) of a layer, or (T, S) of one of its heads."""
        path = self.attention(layer, kind)
        weights = self.tensors[f"{path}.weights"].float()
        if head is None:
            return weights
        if not 0 <= head < len(weights):
            raise UserError(
                "no head {head} in {path}. Heads are numbered from 0 to {n_weights}.",
                head=head,
                path=path,
                n_weights=len(weights) - 1,
            )
        return weights[head]

    def labels(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return labels of the queries and of the keys of an attention module.

        A query of cross-attention has the label of the token that follows it.
        """
        if not path.startswith("blocks."):
            return self.source, self.source
        if path.endswith(".cross_attn"):
            return self.next_tokens or self.tokens, self.source
        return self.tokens, self.tokens

    def select(self, pattern: str | Sequence[str], head: int | None = None) -> Trace:
        """Return a trace of the tensors that match, and of a kernel's tensors one head only."""
        kept = {name: _head(name, t, head) for name, t in self.tensors.items() if _matches(name, pattern)}
        return replace(self, tensors=kept)

    def to_bytes(self, precision: Precision = "float16") -> bytes:
        """Return the contents of the file. Values too large for float16 stay float32."""
        tensors = {name: _packed(tensor, precision) for name, tensor in self.tensors.items()}
        return save(tensors, {"trace": json.dumps(self.header(), ensure_ascii=False)})

    def header(self) -> dict[str, Any]:
        """Return everything but the tensors, ready for JSON."""
        return {
            "version": VERSION,
            "tokens": self.tokens,
            "next_tokens": self.next_tokens,
            "source": self.source,
            "n_prompt": self.n_prompt,
            "logit_lens": vars(self.logit_lens) if self.logit_lens else None,
            "shapes": {name: list(tensor.shape) for name, tensor in self.tensors.items()},
            "config": dict(self.config),
            "ids": self.ids,
            "source_ids": self.source_ids,
            "predictions": self.predictions,
        }

    def save(self, path: Path | str, precision: Precision = "float16") -> Path:
        """Write the file, whole or not at all.

        Raises UserError if it cannot be written.
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(self.to_bytes(precision))
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UserError(
                "{path}: cannot be written ({strerror}). Choose another path.",
                path=path,
                strerror=error.strerror,
            ) from error
        return path

    @classmethod
    def from_bytes(cls, data: bytes) -> Trace:
        """Read the bytes of `to_bytes`. Raises UserError for other bytes."""
        try:
            size = int.from_bytes(data[:8], "little")
            outer = parse_json(data[8 : 8 + size], N_("these bytes"))
            header = parse_json(outer["__metadata__"]["trace"].encode(), N_("these bytes"))
            tensors = {migrate_name(name, header["version"]): t for name, t in load(data).items()}
            return _from_header(header, tensors)
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "these bytes: no trace ({error}). Record the trace again.", error=error
            ) from error

    @classmethod
    def load(cls, path: Path | str, pattern: str | Sequence[str] = "*", head: int | None = None) -> Trace:
        """Read a trace, or only the part that matches: a layer (`blocks.3.*`), one head of each kernel.

        Reads nothing else from disk. Files of version 1 are migrated. Raises UserError for other files.
        """
        try:
            with safe_open(path, "pt") as file:
                header = parse_json(file.metadata()["trace"].encode(), path)
                names = {migrate_name(name, header["version"]): name for name in file.keys()}
                found = {name: stored for name, stored in names.items() if _matches(name, pattern)}
                if not found:
                    raise UserError(
                        "nothing in {path} fits {pattern!r}. It holds: {names}.",
                        path=path,
                        pattern=pattern,
                        names=", ".join(names),
                    )
                tensors = {name: _read(file, stored, name, head) for name, stored in found.items()}
            return _from_header(header, tensors)
        except UserError:
            raise
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "{path}: no trace that can be read ({error}). Record the trace again.", path=path, error=error
            ) from error


def _matches(name: str, pattern: str | Sequence[str]) -> bool:
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return any(fnmatchcase(name, each) for each in patterns)


def _head(name: str, tensor: Tensor, head: int | None) -> Tensor:
    return tensor if head is None or not name.endswith(KERNEL_ENDINGS) else tensor[head : head + 1]


def _read(file: Any, stored: str, name: str, head: int | None) -> Tensor:
    """Read a tensor stored under another name, or one head of it."""
    if head is None or not name.endswith(KERNEL_ENDINGS):
        return file.get_tensor(stored)
    if not 0 <= head < (n := file.get_slice(stored).get_shape()[0]):
        raise UserError(
            "{name}: no head {head}. Heads are numbered from 0 to {n}.", name=name, head=head, n=n - 1
        )
    return file.get_slice(stored)[head : head + 1]


def _packed(tensor: Tensor, precision: Precision) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous()
    if precision == "float16":
        half = tensor.half()
        # −∞ of a mask stays; a finite value must not become infinite.
        if torch.equal(half.isinf(), tensor.isinf()):
            return half.contiguous()
    return tensor.float().contiguous()


def _from_header(header: dict[str, Any], tensors: dict[str, Tensor]) -> Trace:
    header = migrate_header(header)
    if header["version"] != VERSION:
        raise ValueError(f"version {header['version']}, newer than {VERSION}: update glassgpt")
    order = {name: place for place, name in enumerate(header["shapes"])}
    tensors = dict(sorted(tensors.items(), key=lambda item: order[item[0]]))
    tokens, next_tokens, source = (tuple(header[name]) for name in ("tokens", "next_tokens", "source"))
    lens = header["logit_lens"] and LogitLens(**_tuples(header["logit_lens"]))
    added = {name: _tuples(header.get(name, ())) for name in ("ids", "source_ids", "predictions")}
    return Trace(tensors, tokens, next_tokens, source, header["n_prompt"], lens, header["config"], **added)


def _tuples(value: Any) -> Any:
    """Turn the lists of JSON back into tuples."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
