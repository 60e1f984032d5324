"""Checkpoints of nanoGPT with random weights, and its forward pass from a state dict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TEXT = "".join(f"{i} green bottles hanging on the wall, {i % 7} should fall.\n" for i in range(60))
CHARS = sorted(set(TEXT))


def state_dict(args: Mapping[str, Any]) -> dict[str, Tensor]:
    """Make random weights with nanoGPT's names; the head is tied to the embedding."""
    C, V = args["n_embd"], args["vocab_size"]
    state = {
        "transformer.wte.weight": torch.randn(V, C),
        "transformer.wpe.weight": torch.randn(args["block_size"], C),
    }
    matrices = {
        "attn.c_attn": (3 * C, C),
        "attn.c_proj": (C, C),
        "mlp.c_fc": (4 * C, C),
        "mlp.c_proj": (C, 4 * C),
    }
    norms = ["transformer.ln_f"]
    for i in range(args["n_layer"]):
        norms += [f"transformer.h.{i}.{name}" for name in ("ln_1", "ln_2")]
        for name, (rows, columns) in matrices.items():
            state[f"transformer.h.{i}.{name}.weight"] = torch.randn(rows, columns) / columns**0.5
            if args["bias"]:
                state[f"transformer.h.{i}.{name}.bias"] = torch.randn(rows)
    for name in norms:
        state[f"{name}.weight"] = 1 + torch.randn(C)
        if args["bias"]:
            state[f"{name}.bias"] = torch.randn(C)
    return state | {"lm_head.weight": state["transformer.wte.weight"]}


def checkpoint(**changes: Any) -> dict[str, Any]:
    """Make a checkpoint as nanoGPT's train.py saves it: two blocks of width 16."""
    args = dict(n_layer=2, n_head=4, n_embd=16, block_size=8, bias=True, vocab_size=len(CHARS), dropout=0.1)
    args |= changes
    return {
        "model": state_dict(args),
        "optimizer": {"state": {0: {"step": torch.tensor(50.0)}}, "param_groups": [{"lr": 1e-3}]},
        "model_args": args,
        "iter_num": 50,
        "best_val_loss": torch.tensor(2.5),
        "config": {"dataset": "shakespeare_char", "compile": True, "n_layer": 2},
    }


def save(folder: Path, found: object, **options: Any) -> Path:
    """Write ckpt.pt and its training text into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(found, folder / "ckpt.pt", **options)
    (folder / "input.txt").write_text(TEXT)
    return folder / "ckpt.pt"


def logits(state: Mapping[str, Tensor], args: Mapping[str, Any], tokens: Tensor) -> Tensor:
    """Compute nanoGPT's logits: tokens (B, T) -> (B, T, V). Source: its model.py, with explicit attention."""
    C, T, D = args["n_embd"], tokens.shape[1], args["n_embd"] // args["n_head"]

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (C,), state[f"{name}.weight"], state.get(f"{name}.bias"), 1e-5)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (args["n_head"], D)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)

    x = state["transformer.wte.weight"][tokens] + state["transformer.wpe.weight"][:T]  # (B, T, C)
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(args["n_layer"]):
        at = f"transformer.h.{i}"
        q, k, v = map(heads, linear(f"{at}.attn.c_attn", norm(f"{at}.ln_1", x)).split(C, dim=2))
        weights = (q @ k.mT / D**0.5).masked_fill(hidden, -torch.inf).softmax(-1)  # (B, H, T, T)
        x = x + linear(f"{at}.attn.c_proj", (weights @ v).transpose(1, 2).flatten(2))
        u = linear(f"{at}.mlp.c_fc", norm(f"{at}.ln_2", x))  # (B, T, 4 C)
        x = x + linear(f"{at}.mlp.c_proj", u * 0.5 * (1 + torch.erf(u / 2**0.5)))
    return norm("transformer.ln_f", x) @ state["lm_head.weight"].T
