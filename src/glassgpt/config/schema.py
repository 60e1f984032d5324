"""Configuration tables of a training run, declared once.

The same frozen models serve the command line, TOML files, a run's `config.json` and the documentation.
Presets fill the fields that are not given. Nothing here imports torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from glassgpt.config.base import Config
from glassgpt.config.export import exportable_as
from glassgpt.config.flat import flat_name, flat_settings, invalid, takes_settings
from glassgpt.config.layers import Layer, combine, fields, preset_layers
from glassgpt.config.model import ModelConfig
from glassgpt.config.optim import OptimConfig
from glassgpt.config.renamed import check_renamed
from glassgpt.language import N_, join_texts
from glassgpt.notebook_html import folded, html_card
from glassgpt.option_groups import BASICS, DATA, KIND, MACHINE, MODEL, OPTIMIZER, OUTPUT, SAVING
from glassgpt.tables import as_html


@Parameter(name="*", group=DATA)
class DataConfig(Config):
    """Training data and its validation split."""

    sources: Annotated[tuple[str, ...], Parameter(parse=False)] = ("python",)
    """Files, folders, globs, `-` for standard input, or a built-in name (`python`, `shakespeare`)."""
    column: str | None = None
    """Column (csv) or field (jsonl) with the text, the source or the question."""
    target_column: str | None = None
    """Column or field with the answer: the translation, the label, the caption."""
    image_column: str | None = None
    """Column or field with the image's file name."""
    me: str | None = None
    """Person whose messages are learned from an exported chat (WhatsApp, Telegram, Discord)."""
    skip_invalid: bool = False
    """Skip and count invalid pairs, rows and images, and replace invalid bytes, instead of stopping."""
    follow_links: bool = False
    """Read what links in a folder lead to, outside of that folder."""
    list_skipped: bool = False
    """Name every file of a folder or archive that is skipped, with the reason."""
    encoding: str | None = None
    """Encoding of the files; detected by default."""
    val_fraction: float = Field(default=0.1, gt=0, le=0.5)
    """Share held out for validation."""
    split: Literal["auto", "end", "documents", "lines"] = "auto"
    """Held-out part of running text: its end, parts of its documents and rows, or lines after a shuffle."""

    @field_serializer("sources", when_used="json")
    def _as_text(self, sources: tuple[str, ...]) -> list[str]:
        """Write the bytes of a file name that are no UTF-8 as U+FFFD: JSON is UTF-8."""
        return [source.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for source in sources]

    @field_validator("sources", mode="before")
    @classmethod
    def _one_source(cls, given: Any) -> Any:
        """Take a single name, as people write it in a file, for a list of one."""
        return (given,) if isinstance(given, str) else given


@Parameter(name="*", group=DATA)
class TokenizerConfig(Config):
    """Tokenizer: from text to token ids."""

    kind: Annotated[Literal["char", "byte", "bpe"], Parameter(name="--tokenizer", group=KIND)] = "char"
    """char (with bytes for unseen characters), byte, or bpe (default of seq2seq and classifiers)."""
    vocab_size: int = Field(default=4096, ge=257, le=1_000_000)
    """Vocabulary size of BPE; the other tokenizers derive theirs from the text."""
    byte_fallback: bool = True
    """256 byte tokens for characters that training never saw; without them (char only), the vocabulary is
    the characters of the training text, and others are an error."""

    @model_validator(mode="after")
    def _check_fallback(self) -> Self:
        if not self.byte_fallback and self.kind != "char":
            raise ValueError(
                N_("`byte_fallback` cannot be off for {kind}: only char has characters alone", kind=self.kind)
            )
        return self


@Parameter(name="*", group=OPTIMIZER)
class TrainConfig(Config):
    """Length, batches, device, checkpoints and tracking of a training run."""

    minutes: Annotated[float | None, Parameter(group=BASICS)] = Field(default=None, gt=0)
    """Length of the run in minutes, of the whole process."""
    steps: Annotated[int | None, Parameter(group=BASICS)] = Field(default=None, ge=1)
    """Length of the run in optimizer steps."""
    tokens: Annotated[int | None, Parameter(group=BASICS)] = Field(default=None, ge=1)
    """Length of the run in training tokens, in whole steps."""
    max_epochs: Annotated[float | None, Parameter(group=BASICS)] = Field(default=None, gt=0)
    """Passes over the training text after which the run ends, if it has not ended before.
    The autopilot sets it in a run by the clock."""
    micro_batch_size: Annotated[int, Parameter(name=["--micro-batch-size", "--batch-size"])] = Field(
        default=16, ge=1
    )
    """Sequences per forward pass."""
    grad_accum_steps: int = Field(default=1, ge=1)
    """Forward passes per optimizer step."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Label smoothing: share of the target probability spread over all tokens, in training only."""
    mask_fraction: float = Field(default=0.3, gt=0, lt=1)
    """Share of masked tokens in an encoder's training; evaluation always masks 15 %."""
    evals: Annotated[int, Parameter(group=OUTPUT)] = Field(default=10, ge=1)
    """Evaluations on a fixed part of the validation split; fewer if they would take over 3 % of the time."""
    patience: Annotated[int, Parameter(group=OUTPUT)] = Field(default=0, ge=0)
    """Evaluations in a row that are over 0.5 % worse than the best one, after which the run ends; 0 for none.
    The autopilot sets 3 in a run by the clock."""
    save_minutes: Annotated[float, Parameter(group=SAVING)] = Field(default=5.0, gt=0)
    """Minutes between checkpoints; each new best and the end are saved, too."""
    on_nan: Annotated[Literal["stop", "skip", "rollback"], Parameter(group=SAVING)] = "stop"
    """Reaction to a gradient with NaN or infinity: stop, skip the step, or roll back to a checkpoint."""
    on_save_error: Annotated[Literal["continue", "stop"], Parameter(group=SAVING)] = "continue"
    """Reaction to a failed checkpoint; a run always stops if its last one fails."""
    sample_tokens: Annotated[int, Parameter(group=OUTPUT)] = Field(default=200, ge=0)
    """Tokens to sample at each evaluation."""
    snapshots: Annotated[int | None, Parameter(group=SAVING)] = Field(default=None, ge=0, le=1000)
    """Weights to keep in bfloat16, to look back: by default 24, or as many as fit in 200 MB; 0 for none."""
    doctor: Annotated[bool, Parameter(group=OUTPUT)] = True
    """Watch gradients, updates and losses while training, and warn of what goes wrong."""
    seed: Annotated[int, Parameter(group=BASICS)] = Field(default=1337, ge=0, lt=2**63)
    """Seed of weights, order, dropout, samples."""
    device: Annotated[str, Parameter(group=MACHINE)] = "auto"
    """Device: `auto` (cuda, else mps, else cpu) or a torch device such as `cuda:1`."""
    dtype: Annotated[Literal["auto", "float32", "bfloat16"], Parameter(group=MACHINE)] = "auto"
    """Precision of the forward pass; `auto` is bfloat16 on a GPU with support for it, else float32."""
    threads: Annotated[int | None, Parameter(group=MACHINE)] = Field(default=None, ge=1)
    """Threads on a CPU; by default one per core, fewer in a run with `minutes` while the cores are busy."""
    compile: Annotated[bool, Parameter(group=MACHINE)] = False
    """Compile the model with torch.compile."""
    tensorboard: Annotated[bool, Parameter(group=OUTPUT)] = False
    """Write TensorBoard events into the run's folder, too."""
    trackio: Annotated[bool, Parameter(group=OUTPUT)] = False
    """Log to trackio, too."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [f"`{name}`" for name in ("steps", "minutes", "tokens") if getattr(self, name)]
        if len(given) > 1:
            names = join_texts(" or ", given)
            both = len(given) == 2
            raise ValueError(
                N_("give {names}, not both", names=names)
                if both
                else N_("give {names}, not all", names=names)
            )
        return self


@Parameter(name="*", group=SAVING)
class InitFromConfig(Config):
    """Run to initialize the weights from; random weights if not set."""

    run: Annotated[str | None, Parameter(name="--from")] = None
    """Folder of the base run: start from its best weights, with its tokenizer and architecture."""
    step: Annotated[str, Parameter(parse=False)] = ""
    """Checkpoint step of the base run."""
    sha256: Annotated[str, Parameter(parse=False)] = ""
    """SHA-256 of the base checkpoint's weights."""


class RunConfig(Config):
    """Complete configuration of a training run; presets of dataset and family fill the rest.

    >>> RunConfig.model_validate({"model": {"size": "nano", "n_layer": 3}}).model.n_layer
    3
    >>> RunConfig.model_validate({"data": {"sources": ["dates"]}}).model.family
    'seq2seq'
    """

    task: Annotated[str | None, Parameter(name="--task", group=MODEL)] = None
    """Task to learn, such as language, translation or chat; by default found from model family and data."""
    exportable: Annotated[bool, Parameter(name="--exportable", negative="", group=MODEL)] = False
    """Train a model that other programs can load; a setting that prevents it is an error."""
    data: DataConfig = Field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    optim: OptimConfig = Field(default_factory=OptimConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    init_from: InitFromConfig = Field(default_factory=InitFromConfig)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Make a configuration of settings by flat names, those of the flags of `glassgpt train`.

        None leaves a setting out. Raises UserError for names and values that cannot be used.

        >>> RunConfig.of(sources="notes.txt", size="nano", steps=30)
        RunConfig.of(sources=('notes.txt',), size='nano', steps=30)
        """
        try:
            return cls.model_validate(flat_settings(cls, settings))
        except ValidationError as error:
            raise invalid(cls, error) from None

    def chosen(self) -> dict[str, Any]:
        """Return the settings that were set explicitly, by flat names."""
        return {flat_name(type(self), name): value for name, value in fields(self.given())}

    def __repr__(self) -> str:
        return f"RunConfig.of({', '.join(f'{name}={value!r}' for name, value in self.chosen().items())})"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        chosen = {name: _words(value) for name, value in self.chosen().items()}
        every = [(flat_name(type(self), name), _words(value)) for name, value in fields(self.model_dump())]
        marked = [i for i, (name, _) in enumerate(every) if name in chosen]
        return html_card("settings", chosen, folded("all settings", as_html(["", ""], every, marked=marked)))

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimizer step, if every row of its batches fills the block.

        >>> RunConfig.model_validate({"model": {"block_size": 64}}).step_tokens
        1024
        """
        return self.train.micro_batch_size * self.train.grad_accum_steps * self.model.block_size

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
    def _check_exportable(self) -> Self:
        if self.exportable and (reason := exportable_as(self.model).reason):
            raise ValueError(
                N_(
                    "`exportable`: {reason}. Choose `preset=modern` or `preset=gpt2` with its own "
                    "settings, or leave `exportable` out.",
                    reason=reason,
                )
            )
        return self

    @model_validator(mode="after")
    def _check_base(self) -> Self:
        if self.model.lora_rank and self.init_from.run is None:
            raise ValueError(N_("`lora_rank` needs a trained base model. Name its run with `init_from.run`."))
        return self


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# `RunConfig.of` shows each setting in its signature. Only here, since the class must be complete.
takes_settings(RunConfig)(RunConfig.of.__func__)
