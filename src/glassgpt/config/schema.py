"""What a run is made of, declared once.

The same frozen models serve the command line, TOML files, the `config.json` of a run and the documentation. A
field left out takes the value of the named preset; a field given wins over it. Nothing here imports torch.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

PRESETS = Path(__file__).parent / "presets"
TASKS = ("dates", "scenes", "scenes-3x3", "multi30k-en-de")
"""Sources that are tasks: naming one chooses its family and settings."""
Architecture = Literal["modern", "gpt2"]
Size = Literal["nano", "micro", "mini", "small"]
Family = Literal["gpt", "bigram", "encoder", "seq2seq", "captioner"]


class Config(BaseModel):
    """Frozen, and refuses a field that it does not know."""

    # Validators are built when first used: the commands that check settings build one, not six.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


@cache
def preset(name: str) -> dict[str, Any]:
    """The fields that a preset sets.

    >>> preset("small")["n_embd"]
    768
    """
    return tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, table by table.

    >>> merge({"model": {"n_layer": 2, "n_head": 4}}, {"model": {"n_layer": 3}})
    {'model': {'n_layer': 3, 'n_head': 4}}
    """
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


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
    skip_bad: bool = False
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
class ModelConfig(Config):
    """The shape of a model: a preset of architecture, a preset of size, and what deviates from them."""

    family: Annotated[Family, Parameter(name="--model")] = "gpt"
    """The kind of model: `gpt` writes on, `bigram` is a table, `encoder` fills gaps or classifies, `seq2seq`
    translates, `captioner` answers about images."""
    preset: Architecture = "modern"
    """Architecture: `modern` (RoPE, RMSNorm, SwiGLU, QK-norm) or `gpt2`."""
    size: Size = "micro"
    """nano 0.1 M, micro 0.8 M, mini 10 M or small 124 M parameters (about)."""
    n_layer: int = Field(ge=1, le=200)
    """Number of blocks."""
    n_head: int = Field(ge=1, le=256)
    """Number of attention heads."""
    n_kv_head: int | None = Field(default=None, ge=1)
    """Number of key and value heads; fewer than `n_head` is grouped-query attention."""
    n_embd: int = Field(ge=1, le=65_536)
    """Width of the residual stream."""
    n_hidden: int | None = Field(default=None, ge=1)
    """Width of the MLP's hidden layer; by default 4 × n_embd, or 8/3 × n_embd for swiglu."""
    n_encoder_layer: int | None = Field(default=None, ge=1, le=200)
    """Number of blocks of the encoder of seq2seq and captioner; by default n_layer."""
    block_size: int = Field(ge=1, le=1_048_576)
    """Longest context, in tokens."""
    window: int | None = Field(default=None, ge=1)
    """A token attends to tokens fewer than so many places away; by default to the whole context."""
    position: Literal["learned", "rope", "sinusoidal", "none"]
    """How the model knows where a token stands."""
    norm: Literal["layer", "rms"]
    """Kind of normalisation."""
    mlp: Literal["gelu", "swiglu"]
    """Kind of MLP."""
    bias: bool
    """Biases in the linear layers and norms."""
    qk_norm: bool
    """RMSNorm on queries and keys before their product."""
    tie_embeddings: bool
    """The output head shares the matrix of the token embedding."""
    init: Literal["gpt2", "zero"]
    """Scheme of the first weights: GPT-2's, or unit variance with every block starting as the identity."""
    rope_theta: float = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on embeddings and on the outputs of attention and MLP."""
    image_size: int = Field(default=64, ge=4, le=1024)
    """Width and height to which a captioner's images are brought, in pixels."""
    patch_size: int = Field(default=8, ge=1, le=256)
    """Width and height of the patches that an image is cut into, in pixels."""
    channels: Annotated[Literal[1, 3], Parameter(parse=False)] = 1
    """1 for grey images, 3 for colour; found in the data."""
    labels: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    """Names of the classes that an encoder tells apart, found in the data; without any it fills in tokens."""

    @model_validator(mode="wrap")
    @classmethod
    def _fill_from_presets(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """What is not given comes from the presets, and does not count as set (`model_fields_set`)."""
        if not isinstance(given, dict):
            return validate(given)
        filled = {}
        for field, choices in (("preset", get_args(Architecture)), ("size", get_args(Size))):
            name, default = given.get(field), cls.model_fields[field].default
            filled |= preset(name if name in choices else default)  # a wrong name is reported by validation
        config = validate(filled | given)
        config.__pydantic_fields_set__ = set(given)
        return config

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd ({self.n_embd}) must be a multiple of n_head ({self.n_head})")
        if self.n_head % self.kv_heads:
            raise ValueError(f"n_head ({self.n_head}) must be a multiple of n_kv_head ({self.n_kv_head})")
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(
                f"rotary positions need an even n_embd / n_head, got {self.head_dim}: "
                "change n_head or position"
            )
        return self

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        if self.family == "captioner" and self.image_size % self.patch_size:
            raise ValueError(
                f"image_size ({self.image_size}) must be a multiple of patch_size ({self.patch_size})"
            )
        return self

    @property
    def encoder_layers(self) -> int:
        """Number of blocks of the encoder, resolved."""
        return self.n_encoder_layer or self.n_layer

    @property
    def n_patch(self) -> int:
        """Number of patches of an image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.n_embd // self.n_head

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads, resolved."""
        return self.n_kv_head or self.n_head

    @property
    def hidden(self) -> int:
        """Width of the MLP, resolved; for swiglu rounded up to a multiple of 32."""
        if self.n_hidden:
            return self.n_hidden
        return 4 * self.n_embd if self.mlp == "gelu" else -(-self.n_embd * 8 // 3 // 32) * 32


@Parameter(name="*")
class OptimConfig(Config):
    """How weights follow gradients."""

    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for the matrices of the blocks with AdamW for the rest, or AdamW for all."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW; by default 0.02 beside Muon, else 0.002."""
    muon_lr: float = Field(default=0.03, gt=0)
    """Peak learning rate of Muon."""
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
    """Length of the run in optimiser steps."""
    minutes: float | None = Field(default=None, gt=0)
    """Length of the run in minutes, evaluation included (5 when neither is given)."""
    micro_batch_size: Annotated[int, Parameter(name=["--micro-batch-size", "--batch-size"])] = Field(
        default=16, ge=1
    )
    """Sequences per forward pass."""
    grad_accum_steps: int = Field(default=1, ge=1)
    """Forward passes per optimiser step."""
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


class RunConfig(Config):
    """Everything that decides a run. What is not given comes from the presets of the task and the family.

    >>> RunConfig.model_validate({"model": {"size": "nano", "n_layer": 3}}).model.n_layer
    3
    >>> RunConfig.model_validate({"data": {"sources": ["dates"]}}).model.family
    'seq2seq'
    """

    data: DataConfig = Field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    optim: OptimConfig = Field(default_factory=OptimConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)

    @model_validator(mode="wrap")
    @classmethod
    def _fill_from_presets(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """What comes from the presets does not count as set (`model_fields_set`), in no table."""
        if not isinstance(given, dict):
            return validate(given)
        tables = {
            name: table.model_dump(exclude_unset=True) if isinstance(table, Config) else table
            for name, table in given.items()
        }
        config = validate(merge(_presets_for(tables), tables))
        for name, table in config:
            table.__pydantic_fields_set__ = set(tables.get(name, ()))
        config.__pydantic_fields_set__ = set(tables)
        return config


def _presets_for(tables: dict[str, Any]) -> dict[str, Any]:
    """The settings that a task and a family bring along; wrong names are reported by validation.

    A size that is given wins over the numbers that a task or a family would have chosen.
    """
    task: dict[str, Any] = {}
    match tables.get("data"):
        case {"sources": (str(name),) | [str(name)]} if name in TASKS:
            task = preset(name)
    family = merge(task, {"model": tables.get("model", {})})["model"]
    name = family.get("family", "gpt") if isinstance(family, dict) else "gpt"
    has_own = name in get_args(Family) and (PRESETS / f"{name}.toml").is_file()
    chosen = merge(preset(name) if has_own else {}, task)
    if isinstance(family, dict) and family.get("size") in get_args(Size):
        fixed = preset(family["size"])
        chosen["model"] = {key: value for key, value in chosen.get("model", {}).items() if key not in fixed}
    return chosen
