"""Fine-tuning: a run that begins with what another one has learned.

It has its own copy of everything, so that the other run may be deleted: what remains of it is its name, its
step and the SHA-256 of its weights, in config.json.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.checkpoint import Run, read_manifest, weights
from glassgpt.config import Config, OptimConfig, RunConfig
from glassgpt.data import CHAT_SPECIALS
from glassgpt.errors import UserError

CHAT_BLOCK = 256
"""Tokens that a model of conversations sees, at least, where neither --block-size nor --size is given."""
MAY_CHANGE = {"dropout", "block_size", "lora_rank", "lora_alpha"}
"""What of a model's shape no weight depends on."""
OPTIONS = {"family": "--model", "kind": "--tokenizer"}
SHARE = 0.5
"""Of the usual learning rates, where none is given; measured in docs/experiments.md."""
LORA_LR = 0.01
"""Learning rate of adapters, where none is given."""


def apply_init_from(config: RunConfig) -> RunConfig:
    """The configuration with what a run takes over from the one that it begins with, if there is one.

    Shape and tokenizer are the other run's, the rates lower than usual unless they are given. Raises
    UserError for options that contradict, and for a run of another family than gpt.
    """
    if config.init_from.run is None:
        return config
    base = Run.open(config.init_from.run)
    theirs, step = base.config(), base.best_checkpoint()
    if theirs.model.family != "gpt":
        raise UserError(f"{base.path} is a {theirs.model.family}; only a gpt can be trained on with --from")
    learns_places = theirs.model.position == "learned"
    may_change = MAY_CHANGE - ({"block_size"} if learns_places else set())
    _refuse_contradictions(base, config.model, theirs.model, may_change)
    _refuse_contradictions(base, config.tokenizer, theirs.tokenizer, set())
    given = config.model.model_fields_set & may_change
    adapters = {"lora_rank": 0, "lora_alpha": None, "new_tokens": 0}  # theirs are added to their weights
    model = theirs.model.model_copy(update=adapters | {name: getattr(config.model, name) for name in given})
    model.__pydantic_fields_set__ = set(config.model.model_fields_set)
    if model.lora_rank > model.n_embd:
        raise UserError(
            f"--lora-rank {model.lora_rank} is more than the matrices of {base.path} have, which is "
            f"{model.n_embd}: give less, or leave it out to train all weights"
        )
    sha256 = read_manifest(step)["files"]["model.safetensors"]["sha256"]
    init_from = config.init_from.model_copy(update={"step": step.name, "sha256": sha256})
    return config.model_copy(
        update={
            "model": model,
            "tokenizer": theirs.tokenizer,
            "optim": _rates(config),
            "init_from": init_from,
        }
    )


def for_chat(config: RunConfig) -> RunConfig:
    """The configuration for conversations, which are long and have tokens of their own."""
    model, changes = config.model, {}
    can_grow = config.init_from.run is None or model.position != "learned"
    if can_grow and not model.model_fields_set & {"block_size", "size"}:
        changes["block_size"] = (
            CHAT_BLOCK if config.init_from.run is None else max(CHAT_BLOCK, model.block_size)
        )
    if model.lora_rank and config.init_from.run is not None:
        known = Run.open(config.init_from.run).tokenizer().specials
        changes["new_tokens"] = sum(name not in known for name in CHAT_SPECIALS)
    data = config.data.model_copy(update={"chat": True})
    return config.model_copy(update={"model": model.model_copy(update=changes), "data": data})


def initial_weights(config: RunConfig, n_vocab: int) -> dict[str, Tensor]:
    """The weights that a run begins with: the other run's, with rows for tokens that it did not have.

    Raises UserError where its best step is no longer the one that was there when the configuration was made.
    """
    assert config.init_from.run is not None
    base = Run.open(config.init_from.run)
    if base.best_checkpoint().name != config.init_from.step:
        raise UserError(
            f"{base.path} has a new best step: wait until its training has ended, and start again"
        )
    return resize_embeddings(weights(base.model()), n_vocab, config.train.seed)


def resize_embeddings(tensors: dict[str, Tensor], n_vocab: int, seed: int) -> dict[str, Tensor]:
    """Weights of a GPT with embedding and head made larger, for `n_vocab` tokens.

    A new row of the head is the mean of the others: a new token begins about as likely as another one. A new
    row of the embedding is drawn with the mean and the deviation that the others have in each place, so that
    new tokens differ; where the embedding is the head, too, it is the mean.
    Source: Hewitt 2021, "Initializing new word embeddings for pretrained language models".
    """
    is_tied = "lm_head.weight" not in tensors
    generator = torch.Generator().manual_seed(seed)
    larger = dict(tensors)
    for name in ("wte.weight", "lm_head.weight"):
        if name in tensors and (n_new := n_vocab - len(tensors[name])):
            rows = tensors[name].mean(0).expand(n_new, -1)  # (n_new, C)
            if name == "wte.weight" and not is_tied:
                rows = rows + tensors[name].std(0) * torch.randn(rows.shape, generator=generator)
            larger[name] = torch.cat([tensors[name], rows])
    return larger


def _refuse_contradictions(base: Run, ours: Config, theirs: Config, free: set[str]) -> None:
    for name in sorted(ours.model_fields_set - free):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            raise UserError(
                f"{_option(name)} {mine} contradicts {base.path}, where it is {other}: a run keeps the shape "
                "and the tokenizer that it begins with; leave the option out"
            )


def _option(name: str) -> str:
    return OPTIONS.get(name, "--" + name.replace("_", "-"))


def _rates(config: RunConfig) -> OptimConfig:
    """Rates low enough not to unlearn what was learned."""
    optim, given = config.optim, config.optim.model_fields_set
    usual = {name: SHARE * rate for name, rate in optim.peak_lrs.items()}
    if config.model.lora_rank:
        usual["lr"] = LORA_LR
    return optim.model_copy(update={name: rate for name, rate in usual.items() if name not in given})
