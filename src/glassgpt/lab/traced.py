"""A trace for the page: a header in JSON, and tensors by name.

Recorded tensors are handed out as they are, whole, by head or by row. A few more are computed from them by
the model's own modules when they are asked for: the input of an attention (`….x`), the logit lens (`lens.…`),
matrices (`weights.…`), and the loss of each next token (`loss`).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.errors import UserError
from glassgpt.hooks import KERNEL_ACTIVATIONS, logit_lens
from glassgpt.lab.labels import token_rows
from glassgpt.lens import LogitLens, Trace, describe_heads, read_states, visible_label
from glassgpt.models import Bigram, Classifier, Model, Transformer
from glassgpt.tokenizers import Tokenizer

Make = Callable[[], Tensor]
MAX_LENS = 2_000_000_000
"""Products of the logit lens of all positions up to which it is in the header: some 0.1 s."""
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

    def rows(self, names: Sequence[str], at: int) -> Tensor:
        """Return one row of each matrix, one after the other, in float32. Raises UnknownTensor."""
        found = []
        for name in names:
            matrix = self.tensor(name)
            if matrix.ndim != 2 or not 0 <= at < len(matrix):
                raise UnknownTensor("{name} has no row {row}. Choose another one.", name=name, row=at)
            found.append(matrix[at])
        return torch.cat(found)

    @property
    def _derived(self) -> dict[str, Make]:
        """Functions that compute the tensors that the recorder does not keep.

        They are made each time: kept ones would keep the trace alive after it is dropped.
        """
        return self._inputs() | self._lens() | self._matrices() | self._losses()

    def _inputs(self) -> dict[str, Make]:
        """Input of each attention, (T, C): the norm of the state before it."""
        found: dict[str, Make] = {}
        for path in self.trace.attentions:
            block, _, kind = path.rpartition(".")
            norm, state = ("norm_cross", "resid_mid") if kind == "cross_attn" else ("norm_1", "resid_pre")
            if (before := self.trace.tensors.get(f"{block}.{state}")) is not None:
                found[f"{path}.x"] = _applied(self.model.get_submodule(f"{block}.{norm}"), before)
        return found

    @cached_property
    def _states(self) -> list[str]:
        """Names of the states that the output head can read."""
        if not isinstance(self.model, Transformer) or isinstance(self.model, Classifier):
            return []
        return [
            name
            for name in self.trace.tensors
            if name == "blocks.0.resid_pre" or (name.startswith("blocks.") and name.endswith(".resid_post"))
        ]

    def _lens(self) -> dict[str, Make]:
        """Logits (T, V) of each state of the decoder."""

        def read(name: str) -> Make:
            state = self.trace.tensors[name].to(self.model.device)
            return lambda: logit_lens(self.model, {name: state[None]})[name][0].cpu()

        return {f"lens.{name}": read(name) for name in self._states}

    def _losses(self) -> dict[str, Make]:
        """−ln p of the token after each position, (T,), in nats; NaN where it is not known."""
        if "logits" not in self.trace.tensors or not any(self.trace.next_tokens):
            return {}
        ids = torch.tensor([*self.trace.ids[1:], -1])  # (T,)

        def losses() -> Tensor:
            logits = self.trace.tensors["logits"].float()  # (T, V)
            each = F.cross_entropy(logits, ids, ignore_index=-1, reduction="none")
            return each.masked_fill(ids < 0, torch.nan)

        return {"loss": losses}

    @torch.inference_mode()
    def lens(self, start: int = 0, stop: int | None = None) -> dict[str, Any] | None:
        """Return the most probable token of each state at positions start … stop − 1; None without states."""
        if (known := self.trace.logit_lens) is None:
            names = ["logits"] if isinstance(self.model, Bigram) else self._states
            states = {name: self.trace.tensors[name][None, start:stop] for name in names}
            on_device = {name: state.to(self.model.device) for name, state in states.items()}
            rows = read_states(self.model, self.tokenizer, on_device)
        else:
            rows = replace(
                known,
                tokens=tuple(row[start:stop] for row in known.tokens),
                probabilities=tuple(row[start:stop] for row in known.probabilities),
            )
        return None if rows is None else _lens_rows(rows)

    def heads(self) -> list[dict[str, Any]]:
        """Return what each head attends to, and its role."""
        return [each.to_dict() for each in describe_heads(self.trace)]

    @property
    def _reads_all_states(self) -> bool:
        """True if the header may hold the logit lens of all positions: it was made, or takes a moment."""
        T, V = len(self.trace.tokens), self.model.n_vocab
        products = len(self._states) * T * V * self.model.config.n_embd
        return self.trace.logit_lens is not None or products <= MAX_LENS

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
            elif name == "loss":
                derived[name] = (len(self.trace.tokens),)
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
            "logit_lens": self.lens() if self._reads_all_states else None,
            "lens_states": list(trace.logit_lens.states if trace.logit_lens else self._states),
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
            "layer": self.trace.layer(path),
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


def _lens_rows(lens: LogitLens) -> dict[str, Any]:
    """Return the most probable token of each state, and its probability."""
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
