"""Fine-tuning: start a run from the weights of another run.

The new run copies everything that it needs, so the base run may be deleted. config.json keeps the base run's
name, its step and the SHA-256 of its weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from glassgpt.checkpoint import Run, read_manifest, weights
from glassgpt.config import Config, Layer, OptimConfig, Resolved, RunConfig, Tables, combine
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tokenizers import CharTokenizer, Tokenizer

MAY_CHANGE = {"dropout", "block_size", "lora_rank", "lora_alpha"}
"""Fields of a model's shape on which no weight depends."""
SHARE = 0.5
"""Default learning rates of fine-tuning, as a share of the usual ones; measured in docs/experiments.md."""
RARE_SHARE, SHOWN = 0.001, 8
"""Share of unknown characters that needs no note, and the number of them that a note names."""
LORA_LR = 0.01
"""Default learning rate of adapters."""


def base_layer(resolved: Resolved) -> Layer:
    """Return the settings that a run takes from its base run: shape, tokenizer and lower learning rates.

    Raises UserError for settings that contradict the base run, and for a model family other than gpt.
    """
    config, given = resolved.config, combine(resolved.given)
    assert config.init_from.run is not None
    base = Run.open(config.init_from.run)
    theirs, step = base.config(), base.best_checkpoint()
    if theirs.model.family != "gpt":
        raise UserError(
            "{path} is a {family}. Only a gpt can be fine-tuned.", path=base.path, family=theirs.model.family
        )
    may_change = MAY_CHANGE - ({"block_size"} if theirs.model.position == "learned" else set())
    _check_contradictions(base, "model", given, theirs.model, may_change)
    _check_contradictions(base, "tokenizer", given, theirs.tokenizer, set())
    own_adapters = {
        "lora_rank": 0,
        "lora_alpha": None,
        "new_tokens": 0,
    }  # theirs are merged into their weights
    sha256 = read_manifest(step)["files"]["model.safetensors"]["sha256"]
    tables = {
        "model": theirs.model.model_dump() | own_adapters,
        "tokenizer": theirs.tokenizer.model_dump(),
        "optim": _learning_rates(config.optim, bool(config.model.lora_rank)),
        "init_from": {"step": step.name, "sha256": sha256},
    }
    return Layer(f"run {base.path}", tables)


def new_tokens_layer(config: RunConfig, specials: tuple[str, ...]) -> Layer:
    """Return the number of special tokens that the base run's vocabulary lacks, if adapters are trained."""
    if not config.model.lora_rank or config.init_from.run is None:
        return Layer("data", {})
    known = Run.open(config.init_from.run).tokenizer().specials
    return Layer("data", {"model": {"new_tokens": sum(name not in known for name in specials)}})


def unknown_characters(tokenizer: Tokenizer, texts: Iterable[str]) -> tuple[str, ...]:
    """Return a note on characters that the base run's vocabulary lacks; none if they are rare."""
    if not isinstance(tokenizer, CharTokenizer):
        return ()
    counts = sum((Counter(text) for text in texts), Counter[str]())
    unknown = {char: n for char, n in counts.items() if char not in tokenizer.chars}
    share = sum(unknown.values()) / max(1, counts.total())
    if share < RARE_SHARE:
        return ()
    most = sorted(unknown, key=unknown.__getitem__, reverse=True)[:SHOWN]
    note = N_(
        "the base run does not know {n:,} characters, {share:.1%} of the text (such as {shown}): each is "
        "learned as its bytes",
        n=len(unknown),
        share=share,
        shown=" ".join(char if char.isprintable() else repr(char) for char in most),
    )
    return (note,)


def initial_weights(config: RunConfig, n_vocab: int) -> dict[str, Tensor]:
    """Return the base run's best weights, with rows for new tokens.

    Raises UserError if its best step has changed since the configuration was made.
    """
    assert config.init_from.run is not None
    base = Run.open(config.init_from.run)
    if base.best_checkpoint().name != config.init_from.step:
        raise UserError(
            "{path} has a new best step. Wait until its training has ended, and start again.", path=base.path
        )
    return resize_embeddings(weights(base.model()), n_vocab, config.train.seed)


def resize_embeddings(tensors: dict[str, Tensor], n_vocab: int, seed: int) -> dict[str, Tensor]:
    """Extend the embedding and head of a GPT's weights to `n_vocab` tokens.

    A new row of the head is the mean of the others, so a new token starts about as probable as any other. A
    new row of the embedding is drawn with the others' mean and standard deviation in each dimension, so that
    new tokens differ. With tied embeddings it is the mean.
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
            larger[name] = torch.cat([tensors[name], rows])  # (n_vocab, C)
    return larger


def _check_contradictions(base: Run, table: str, given: Tables, theirs: Config, may_change: set[str]) -> None:
    for name in sorted(given.get(table, {}).keys() - may_change):
        value, other = given[table][name], getattr(theirs, name)
        if value != other:
            raise UserError(
                "`{table}.{name}` {value} contradicts {path}, where it is {other}. A run keeps the shape "
                "and the tokenizer of its base run: leave it out.",
                table=table,
                name=name,
                value=value,
                path=base.path,
                other=other,
            )


def _learning_rates(optim: OptimConfig, adapters: bool) -> Tables:
    """Return rates low enough to keep what the base run has learned."""
    lrs = {name: SHARE * lr for name, lr in optim.peak_lrs.items()}
    return lrs | ({"lr": LORA_LR} if adapters else {})
