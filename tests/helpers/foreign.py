"""Folders of transformers with random weights, as `save_pretrained` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

from helpers.exports import tokenizer

N_POSITIONS = 64
SIZES: dict[str, dict[str, Any]] = {
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": N_POSITIONS},
    "Llama": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": N_POSITIONS,
    },
}
SIZES["Qwen3"] = {**SIZES["Llama"], "head_dim": 16, "num_key_value_heads": 2}


def model(family: str, n_vocab: int, seed: int = 0, **fields: Any) -> Any:
    """Return a model of transformers with random weights, large enough that every tensor matters."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=n_vocab, bos_token_id=None, eos_token_id=None, **(SIZES[family] | fields)
    )
    name = "GPT2LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    built = getattr(transformers, name)(config)
    with torch.no_grad():
        for p in built.parameters():
            p.normal_(mean=float(p.ndim == 1), std=0.2)
    return built.eval()


def save(
    folder: Path,
    family: str = "GPT2",
    kind: str = "bpe",
    *,
    dtype: torch.dtype = torch.float32,
    shard: str = "1GB",
    n_padding: int = 0,
    **fields: Any,
) -> Any:
    """Save a model with a tokenizer into a new folder, and return the model. shard: largest file."""
    known = tokenizer(kind)
    built = model(family, known.n_vocab + n_padding, **fields).to(dtype)
    transformers.logging.disable_progress_bar()
    built.save_pretrained(folder, max_shard_size=shard)
    known.save(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}),
        "utf-8",
    )
    return built


def edit_json(file: Path, **changes: Any) -> None:
    """Replace values of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")
