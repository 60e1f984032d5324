"""A trace for the page: a header in JSON, and tensors by name.

Recorded tensors are handed out as they are. A few more are computed from them by the model's own modules when
they are asked for: the input of an attention (`….x`), the logit lens (`lens.…`), and matrices (`weights.…`).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.hooks import KERNEL_ACTIVATIONS, logit_lens
from glassgpt.lab.labels import token_rows
from glassgpt.lens import Trace, visible_label
from glassgpt.models import Classifier, Model, Transformer
from glassgpt.tokenizers import Tokenizer

Make = Callable[[], Tensor]
MATRICES = {"qkv": "qkv.weight", "qkv_bias": "qkv.bias", "proj": "proj.weight"}
"""Matrices of an attention by the last word of their names."""


class UnknownTensor(UserError):
    """A name that no tensor of a trace has."""


class Traced:
    """A trace with the model that it came from."""

    def __init__(self, trace: Trace, model: Model, tokenizer: Tokenizer, **about: Any) -> None:
        self.id = secrets.token_hex(8)
        self.trace, self.model, self.tokenizer, self.about = trace, model, tokenizer, about

    @property
    def n_bytes(self) -> int:
        """Memory of the recorded tensors."""
        return sum(tensor.nbytes for tensor in self.trace.tensors.values())

    @torch.inference_mode()
    def tensor(self, name: str, head: int | None = None) -> Tensor:
        """Return a tensor in float32, or one head of it. Raises UnknownTensor."""
        if name not in self._shapes:
            raise UnknownTensor("this trace has no tensor {name}. Its header lists all names.", name=name)
        recorded = self.trace.tensors.get(name)
        value = self._derived[name]() if recorded is None else recorded
        if head is None:
            return value.float()
        if not _is_per_head(name) or not 0 <= head < len(value):
            raise UnknownTensor("{name} has no head {head}. Leave it out.", name=name, head=head)
        return value[head].float()

    @cached_property
    def _derived(self) -> dict[str, Make]:
        """Functions that compute the tensors that the recorder does not keep."""
        return self._inputs() | self._lens() | self._matrices()

    def _inputs(self) -> dict[str, Make]:
        """Input of each attention, (T, C): the norm of the state before it."""
        found: dict[str, Make] = {}
        for path in self.trace.attentions:
            block, _, kind = path.rpartition(".")
            norm, state = ("norm_cross", "resid_mid") if kind == "cross_attn" else ("norm_1", "resid_pre")
            if (before := self.trace.tensors.get(f"{block}.{state}")) is not None:
                found[f"{path}.x"] = _applied(self.model.get_submodule(f"{block}.{norm}"), before)
        return found

    def _lens(self) -> dict[str, Make]:
        """Logits (T, V) of each state of the decoder."""
        if not isinstance(self.model, Transformer) or isinstance(self.model, Classifier):
            return {}
        states = [
            name
            for name in self.trace.tensors
            if name == "blocks.0.resid_pre" or (name.startswith("blocks.") and name.endswith(".resid_post"))
        ]

        def read(name: str) -> Make:
            state = self.trace.tensors[name].to(self.model.device)
            return lambda: logit_lens(self.model, {name: state[None]})[name][0].cpu()

        return {f"lens.{name}": read(name) for name in states}

    def _matrices(self) -> dict[str, Make]:
        """Matrices of each attention."""
        weights = dict(self.model.named_parameters())
        return {
            f"weights.{path}.{short}": lambda tensor=tensor: tensor.detach().cpu()
            for path in self.trace.attentions
            for short, name in MATRICES.items()
            if (tensor := weights.get(f"{path}.{name}")) is not None
        }

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors, without computing any."""
        recorded = {name: tuple(tensor.shape) for name, tensor in self.trace.tensors.items()}
        n_out = len(self.model.config.labels) or self.model.n_vocab
        weights = dict(self.model.named_parameters())
        derived: dict[str, tuple[int, ...]] = {}
        for name in self._derived:
            if name.startswith("lens."):
                derived[name] = (recorded[name.removeprefix("lens.")][0], n_out)
            elif name.startswith("weights."):
                path, _, short = name.removeprefix("weights.").rpartition(".")
                derived[name] = tuple(weights[f"{path}.{MATRICES[short]}"].shape)
            else:
                path = name.removesuffix(".x")
                derived[name] = (recorded[f"{path}.q"][1], self.model.config.n_embd)
        return recorded | derived

    def header(self, names: list[str] | None = None) -> dict[str, Any]:
        """Return everything but the tensors, ready for JSON. names: the tensors to list, by default all."""
        trace, config = self.trace, self.model.config
        listed = list(self._shapes) if names is None else names
        return {
            "id": self.id,
            **self.about,
            **_facts(self.model),
            **self._tokens(),
            "n_prompt": trace.n_prompt,
            "image": None
            if trace.image is None
            else {
                "name": "image",
                "channels": config.channels,
                "size": config.image_size,
                "patch": config.patch_size,
            },
            "attentions": [self._attention(path) for path in trace.attentions],
            "blocks": _blocks(trace),
            "logit_lens": _lens_rows(trace),
            "predictions": [[(visible_label(name), p) for name, p in row] for row in trace.predictions],
            "tensors": _places({name: self._shapes[name] for name in listed}),
        }

    def _tokens(self) -> dict[str, Any]:
        trace, tokenizer = self.trace, self.tokenizer
        following = [*trace.ids[1:], -1]
        rows = token_rows(tokenizer, following, trace.next_tokens or [""] * len(following))
        source_ids = trace.source_ids or [-1] * len(trace.source)
        return {
            "tokens": token_rows(tokenizer, trace.ids, trace.tokens),
            "next_tokens": [row if row["text"] else None for row in rows],
            "source": token_rows(tokenizer, source_ids, trace.source),
        }

    def _attention(self, path: str) -> dict[str, Any]:
        kind = next(name for name, paths in self.trace.kinds.items() if path in paths)
        H, _, D = self._shapes[f"{path}.q"]
        is_decoder = self.model.config.family != "encoder"
        return {
            "path": path,
            "kind": kind,
            "layer": self.trace.kinds[kind].index(path),
            "heads": H,
            "kv_heads": self._shapes[f"{path}.k"][0],
            "d_head": D,
            "causal": kind == "attn" and is_decoder,
        }


def _applied(module: nn.Module, state: Tensor) -> Make:
    device = next((p.device for p in module.parameters()), state.device)
    return lambda: module(state[None].to(device))[0].cpu()


def _is_per_head(name: str) -> bool:
    return name.endswith(tuple(f".{each}" for each in KERNEL_ACTIVATIONS))


def _facts(model: Model) -> dict[str, Any]:
    """Return the model's shape."""
    config = model.config
    has_blocks = config.family != "bigram"
    return {
        "family": config.family,
        "preset": config.preset if has_blocks else "",
        "layers": config.n_layer if has_blocks else 0,
        "heads": config.n_head if has_blocks else 0,
        "kv_heads": config.kv_heads if has_blocks else 0,
        "width": config.n_embd if has_blocks else model.n_vocab,
        "d_head": config.head_dim if has_blocks else 0,
        "vocab": model.n_vocab,
        "labels": list(config.labels),
        "block_size": config.block_size,
        "positions": config.position if has_blocks else "none",
        "norm": config.norm,
    }


def _lens_rows(trace: Trace) -> dict[str, Any] | None:
    """Return the most probable token of each state, and its probability."""
    if (lens := trace.logit_lens) is None:
        return None
    tokens = [[visible_label(name) for name in row] for row in lens.tokens]
    return {"states": lens.states, "tokens": tokens, "probabilities": lens.probabilities}


def _blocks(trace: Trace) -> list[dict[str, Any]]:
    paths = [name.removesuffix(".resid_post") for name in trace.tensors if name.endswith(".resid_post")]
    decodes = trace.config.get("family") != "encoder"
    return [
        {
            "path": path,
            "kind": "decoder" if path.startswith("blocks.") and decodes else "encoder",
            "layer": int(path.rpartition(".")[2]),
        }
        for path in paths
    ]


def _places(shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    """Return name, shape and place in a blob of each tensor."""
    rows, offset = [], 0
    for name, shape in shapes.items():
        n_bytes = 4 * math.prod(shape)
        row = {"name": name, "shape": shape, "dtype": "float32", "offset": offset, "bytes": n_bytes}
        rows.append({**row, "per_head": _is_per_head(name)})
        offset += n_bytes
    return rows


def float_bytes(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor: float32, little endian, row by row."""
    return tensor.float().contiguous().numpy().astype("<f4", copy=False).tobytes()
