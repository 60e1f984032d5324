"""Adapter files: the LoRA weights of a fine-tuned run, without its base weights.

An adapter file works only with its base run. It holds the SHA-256 of the base weights and is refused for
others. A run needs no adapter file: it holds base weights and adapters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glassgpt.checkpoint.run import Run, load_weights, weights
from glassgpt.checkpoint.store import Spec, layout, read_header, read_manifest, read_tensors
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.models import ADAPTERS, Model, build, merge_adapters
from glassgpt.paths import check_file
from glassgpt.safe_io import parse_json, quoted
from glassgpt.tokenizers import CharTokenizer, Tokenizer

FORMAT = "glassgpt-adapter-1"
EMBEDDINGS = ("wte.weight", "lm_head.weight")
"""Embedding and head, whole if letters were new."""
ROWS = ".rows"
"""Suffix of the rows of new tokens, stored as trained."""


def save_adapter(run: Path | str, file: Path | str) -> Path:
    """Write a run's best adapters and the rows of its new tokens.

    The file is in safetensors. Raises UserError for a run without adapters, and if the file exists or cannot
    be written.
    """
    trained, file = Run.open(run), Path(file)
    config, shape = trained.config(), trained.config().model
    if not shape.lora_rank:
        raise UserError(
            "{path} has no adapters. Fine-tune a run with a `lora_rank` such as 8.", path=trained.path
        )
    if file.exists():
        raise UserError("{file} exists already. Give another name, or remove it first.", file=file)
    tensors = read_tensors(trained.best_checkpoint(), "model")
    kept = {name: t for name, t in tensors.items() if _kind(name) in ADAPTERS[:2]}
    for name in [name for name in tensors if _kind(name) == ADAPTERS[2]]:
        layer, added = name.removesuffix(f".{ADAPTERS[2]}"), tensors[name]
        kept[layer + ROWS] = tensors[f"{layer}.weight"][-len(added) :] + added
    if shape.lora_embeddings:
        kept |= {name: tensors[name] for name in EMBEDDINGS if name in tensors}
    tokenizer = trained.tokenizer()
    specials = list(tokenizer.specials)
    about = {
        "format": FORMAT,
        "rank": shape.lora_rank,
        "scale": shape.lora_scale,
        "specials": specials if shape.lora_embeddings else specials[len(specials) - shape.new_tokens :],
        "characters": tokenizer.chars if isinstance(tokenizer, CharTokenizer) else "",
        "embeddings": shape.lora_embeddings,
        "block_size": shape.block_size,
        "base": config.init_from.run,
        "sha256": config.init_from.sha256,
    }
    try:
        save_file(kept, file, {"about": json.dumps(about, ensure_ascii=False)})
    except (OSError, SafetensorError) as error:
        raise UserError(
            "{file} cannot be written ({error}). Choose another folder.", file=file, error=error
        ) from error
    return file


def load_with_adapter(
    run: Path | str, file: Path | str, device: torch.device | str = "cpu"
) -> tuple[Model, Tokenizer]:
    """Load a run's best model, merge an adapter file into it, and extend its tokenizer.

    Raises UserError for a file that is no adapter, or an adapter of other weights.
    """
    base_run, file = Run.open(run), Path(file)
    check_file(file)
    about = _about(file)
    sha256 = read_manifest(base_run.best_checkpoint())["files"]["model.safetensors"]["sha256"]
    if about["sha256"] != sha256:
        raise UserError(
            "{file} belongs to other weights than the best ones of {path}. Give its base run ({about}), "
            "unchanged since the fine-tuning.",
            file=file,
            path=base_run.path,
            about=quoted(str(about.get("base")), 200),
        )
    base = base_run.model()
    tokenizer = base_run.tokenizer()
    if isinstance(tokenizer, CharTokenizer):  # of older files, no letters are new
        tokenizer = tokenizer.with_characters(about.get("characters", ""))
    tokenizer = tokenizer.with_specials(about["specials"])
    changes: dict[str, Any] = {"lora_rank": about["rank"], "lora_alpha": about["scale"] * about["rank"]}
    changes["lora_embeddings"] = about.get("embeddings", False)
    shape = base.config.model_copy(update={**changes, "block_size": about["block_size"]})
    tensors = weights(base) | _read(file, shape, base.n_vocab, tokenizer.n_vocab)
    for name in [name for name in tensors if name.endswith(ROWS)]:
        weight = name.removesuffix(ROWS) + ".weight"
        tensors[weight] = torch.cat([tensors[weight], tensors.pop(name)])
    merged, plain = merge_adapters(tensors, shape)
    model = build(plain, tokenizer.n_vocab)
    load_weights(model, merged)
    return model.to(device).eval(), tokenizer


def _about(file: Path) -> dict[str, Any]:
    """Read and check the metadata of an adapter file."""
    try:
        read_header(file)
        with safe_open(file, "pt") as opened:
            about = parse_json((opened.metadata() or {})["about"].encode(), file)
        rank, specials, sha256 = about["rank"], about["specials"], about["sha256"]
        good = about["format"] == FORMAT and isinstance(rank, int) and isinstance(sha256, str)
        good &= isinstance(about["scale"], float) and isinstance(about["block_size"], int)
        good &= isinstance(about.get("characters", ""), str)
        good &= isinstance(about.get("embeddings", False), bool)
        good &= isinstance(specials, list) and all(isinstance(name, str) for name in specials)
        if good and rank >= 1 and about["block_size"] >= 1:
            return about
    except UserError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError("{file} is no adapter of glassgpt. Make one: glassgpt adapter RUN FILE", file=file)


def _read(file: Path, shape: ModelConfig, n_old: int, n_vocab: int) -> dict[str, Tensor]:
    """Check names and shapes of an adapter's tensors against the model, then read them."""
    wanted = {name: each for name, each in layout(shape, n_old).shapes.items() if _kind(name) in ADAPTERS}
    if shape.lora_embeddings:
        names = EMBEDDINGS[:1] if shape.tie_embeddings else EMBEDDINGS
        wanted |= dict.fromkeys(names, (n_vocab, shape.n_embd))
    elif n_vocab > n_old:
        rows = ["wte"] if shape.tie_embeddings else ["wte", "lm_head"]
        wanted |= {name + ROWS: (n_vocab - n_old, shape.n_embd) for name in rows}
    if read_header(file) != {name: Spec("F32", each) for name, each in wanted.items()}:
        raise UserError(
            "{file} does not fit the model: its tensors are not those of the model's adapters. Give the "
            "base run and its own adapter file.",
            file=file,
        )
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in wanted}


def _kind(name: str) -> str:
    """Return the last part of a parameter's name, such as `lora_a`."""
    return name.rpartition(".")[2]
