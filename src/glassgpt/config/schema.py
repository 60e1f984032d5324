"""What a run is made of, declared once.

The same frozen models serve the command line, TOML files, the `config.json` of a run and the documentation. A
field left out takes the value of the named preset; a field given wins over it. Nothing here imports torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import Field, ModelWrapValidatorHandler, model_validator

from glassgpt.config.base import Config
from glassgpt.config.layers import Layer, combine, preset_layers
from glassgpt.config.model import ModelConfig
from glassgpt.config.renamed import check_renamed


@Parameter(name="*")
class DataConfig(Config):
    """Which text to learn from."""

    sources: Annotated[tuple[str, ...], Parameter(parse=False)] = ("python",)
    """Files, folders, globs, `-` for standard input, or a named corpus (`python`, `shakespeare`)."""
    column: str | None = None
    """Column of a csv file, or field of a jsonl file, that holds the text, the source or the question."""
    target_column: str | None = None
    """Column or field that holds what to answer: the translation, the label, the caption."""
    image_column: str | None = None
    """Column or field that names the image."""
    skip_invalid: bool = False
    """Leave out pairs, rows and images that cannot be used, and count them, instead of stopping."""
    encoding: str | None = None
    """Encoding of the files; detected when not given."""
    val_fraction: float = Field(default=0.1, gt=0, le=0.5)
    """Share of the text, at its end, that is held out for validation."""


@Parameter(name="*")
class TokenizerConfig(Config):
    """How text becomes token ids."""

    kind: Annotated[Literal["char", "byte", "bpe"], Parameter(name="--tokenizer")] = "char"
    """Characters seen in training (bytes for all others), bytes, or byte-level BPE, which is the default of
    seq2seq and of texts with classes."""
    vocab_size: int = Field(default=4096, ge=257, le=1_000_000)
    """Number of tokens of a BPE vocabulary; the other tokenizers take theirs from the text."""


@Parameter(name="*")
class OptimConfig(Config):
    """How weights follow gradients."""

    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for the matrices of the blocks with AdamW for the rest, or AdamW for all."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW; by default 0.02 beside Muon, else 0.002."""
    muon_lr: float = Field(default=0.03, gt=0)
    """Peak learning rate of Muon."""
    ngram_lr: float = Field(default=0.05, gt=0)
    """Peak learning rate of the embeddings of runs of tokens."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decay of the matrices, per step and unit of learning rate."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's memory of the gradient."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """AdamW's memory of the squared gradient."""
    warmup: float = Field(default=0.02, ge=0, lt=1)
    """Share of the run over which the learning rate rises from zero."""
    final_lr: float = Field(default=0.0, ge=0, le=1)
    """Learning rate at the end, as a share of its peak."""
    grad_clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0 switches clipping off."""

    @property
    def peak_lr(self) -> float:
        """AdamW's peak learning rate, resolved."""
        return self.lr or (0.02 if self.optimizer == "muon" else 0.002)


@Parameter(name="*")
class TrainConfig(Config):
    """How long to train, on what, and what to watch."""

    steps: int | None = Field(default=None, ge=1)
    """Length of the run in optimizer steps."""
    minutes: float | None = Field(default=None, gt=0)
    """Length of the run in minutes, evaluation included (5 when neither is given)."""
    micro_batch_size: Annotated[int, Parameter(name=["--micro-batch-size", "--batch-size"])] = Field(
        default=16, ge=1
    )
    """Sequences per forward pass."""
    grad_accum_steps: int = Field(default=1, ge=1)
    """Forward passes per optimizer step."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each target's probability that is spread over all tokens while training."""
    mask_fraction: float = Field(default=0.3, gt=0, lt=1)
    """Share of the tokens that are hidden from an encoder while it learns; it is always measured on 15 %."""
    evals: int = Field(default=10, ge=1)
    """Evaluations on the whole validation split; fewer where they would take over a fifth of the time."""
    save_minutes: float = Field(default=5.0, gt=0)
    """Minutes between checkpoints; one is also written at each new best and at the end."""
    on_nan: Literal["stop", "skip", "rollback"] = "stop"
    """What to do with a step whose gradient is not finite: stop, skip it, or go back to a checkpoint."""
    on_save_error: Literal["continue", "stop"] = "continue"
    """What to do when a checkpoint cannot be written; the last one of a run always has to be."""
    sample_tokens: int = Field(default=200, ge=0)
    """Length of the sample at each evaluation."""
    seed: int = Field(default=1337, ge=0, lt=2**63)
    """Decides the initial weights, the order of the data, dropout and samples."""
    device: str = "auto"
    """`auto` (cuda, else mps, else cpu) or a torch device such as `cuda:1`."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the forward pass; `auto` is bfloat16 on a GPU that has it, else float32."""
    compile: bool = False
    """Compile the model with torch.compile."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run."""
    trackio: bool = False
    """Also log to trackio."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps and self.minutes:
            raise ValueError("give --steps or --minutes, not both")
        return self


@Parameter(name="*")
class InitFromConfig(Config):
    """What a run begins with, where that is not chance."""

    run: Annotated[str | None, Parameter(name="--from")] = None
    """Folder of a run whose best weights, tokenizer and shape this one begins with."""
    step: Annotated[str, Parameter(parse=False)] = ""
    """Which of its steps that was."""
    sha256: Annotated[str, Parameter(parse=False)] = ""
    """Of the file of that step's weights."""


class RunConfig(Config):
    """The complete configuration of a run. Presets of dataset, family, size and architecture fill the gaps.

    >>> RunConfig.model_validate({"model": {"size": "nano", "n_layer": 3}}).model.n_layer
    3
    >>> RunConfig.model_validate({"data": {"sources": ["dates"]}}).model.family
    'seq2seq'
    """

    task: Annotated[str | None, Parameter(name="--task")] = None
    """Task to learn: language, masked, translation, captioning, classification or chat; by default found from
    the model family and the data."""
    data: DataConfig = Field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    optim: OptimConfig = Field(default_factory=OptimConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    init_from: InitFromConfig = Field(default_factory=InitFromConfig)

    @model_validator(mode="wrap")
    @classmethod
    def _fill_from_presets(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill missing fields from presets. Only given fields count as set (`model_fields_set`)."""
        if not isinstance(given, dict):
            return validate(given)
        tables = {
            name: table.given() if isinstance(table, Config) else table for name, table in given.items()
        }
        check_renamed(tables)
        config = validate(combine([*preset_layers(tables), Layer("given", tables)]))
        config.model_fields_set.intersection_update(tables)
        for name, table in config:
            if isinstance(table, Config):
                table.model_fields_set.intersection_update(tables.get(name, ()))
        return config

    @model_validator(mode="after")
    def _check_base(self) -> Self:
        if self.model.lora_rank and self.init_from.run is None:
            raise ValueError(
                "lora_rank: adapters train next to the weights of an earlier run. Name that run with --from RUN"
            )
        return self
