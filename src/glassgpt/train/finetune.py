"""Fine-tuning: start a run from the weights of another run.

The new run copies everything that it needs, so the base run may be deleted. config.json keeps the base run's
name, its step and the SHA-256 of its weights.
"""

from __future__ import annotations

from torch import Tensor

from glassgpt.checkpoint import Run, read_manifest, weights
from glassgpt.config import Config, Layer, OptimConfig, Resolved, RunConfig, Tables, combine
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer
from glassgpt.train.vocabulary import kept_rows, resize_embeddings

MAY_CHANGE = {"dropout", "block_size", "lora_rank", "lora_alpha"}
"""Fields of a model's shape on which no weight depends."""
LR_SHARE = 0.5
"""Default learning rates of fine-tuning, as a share of the usual ones; measured in docs/experiments.md."""
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
    # The base run's adapters are merged into its weights.
    own_adapters = {"lora_rank": 0, "lora_alpha": None, "new_tokens": 0, "lora_embeddings": False}
    sha256 = read_manifest(step)["files"]["model.safetensors"]["sha256"]
    tables = {
        "model": theirs.model.model_dump() | own_adapters,
        "tokenizer": theirs.tokenizer.model_dump(),
        "optim": _learning_rates(config.optim, bool(config.model.lora_rank)),
        "init_from": {"step": step.name, "sha256": sha256},
    }
    return Layer(f"run {base.path}", tables)


def initial_weights(config: RunConfig, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """Return the base run's best weights, with the rows of an extended vocabulary.

    Raises UserError if its best step has changed since the configuration was made.
    """
    assert config.init_from.run is not None
    base = Run.open(config.init_from.run)
    if base.best_checkpoint().name != config.init_from.step:
        raise UserError(
            "{path} has a new best step. Wait until its training has ended, and start again.", path=base.path
        )
    rows = kept_rows(base.tokenizer(), tokenizer)
    return resize_embeddings(weights(base.model()), rows, config.train.seed)


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
    lrs = {name: LR_SHARE * lr for name, lr in optim.peak_lrs.items()}
    return lrs | ({"lr": LORA_LR} if adapters else {})
