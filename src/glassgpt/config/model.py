"""Model configuration: an architecture preset, a size preset, and fields that override them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import Field, ModelWrapValidatorHandler, model_validator

from glassgpt.config.base import Config, preset_names
from glassgpt.config.layers import combine, preset_layers
from glassgpt.language import N_
from glassgpt.option_groups import KIND, MODEL

Architecture = Literal["modern", "gpt2", "speedrun"]
Size = Literal["nano", "micro", "mini", "small"]
if TYPE_CHECKING:
    Family = str
else:  # the presets of config/presets/family, so that a new family is a file
    Family = Literal[preset_names("family")]


@Parameter(name="*", group=MODEL)
class ModelConfig(Config):
    """Architecture and size of a model; fields not given come from the presets."""

    family: Annotated[Family, Parameter(name="--model", group=KIND)] = "gpt"
    """gpt (text), bigram (table), encoder (gaps, classes), seq2seq (translation) or captioner (images)."""
    preset: Annotated[Architecture, Parameter(group=KIND)] = "modern"
    """modern (as Qwen3), gpt2, or speedrun: faster on a small text, but only ONNX holds it."""
    size: Annotated[Size, Parameter(group=KIND)] = "micro"
    """Blocks × width: nano 2 × 64, micro 4 × 128, mini 6 × 384, small 12 × 768, of 0.1, 0.8, 11 and 85 M
    parameters without the vocabulary."""
    n_layer: int = Field(ge=1, le=200)
    """Number of blocks."""
    n_head: int = Field(ge=1, le=256)
    """Number of attention heads."""
    n_kv_head: int | None = Field(default=None, ge=1)
    """Number of key and value heads; fewer than n_head means grouped-query attention."""
    head_size: int | None = Field(default=None, ge=1, le=65_536)
    """Width of one attention head; by default n_embd / n_head."""
    n_embd: int = Field(ge=1, le=65_536)
    """Width of the residual stream."""
    n_hidden: int | None = Field(default=None, ge=1)
    """Width of the MLP's hidden layer; by default 4 × n_embd, or 8/3 × n_embd with swiglu."""
    n_encoder_layer: int | None = Field(default=None, ge=1, le=200)
    """Number of encoder blocks (seq2seq, captioner); by default n_layer."""
    block_size: int = Field(ge=1, le=1_048_576)
    """Context length in tokens."""
    window: int | None = Field(default=None, ge=1)
    """Sliding-window attention: only tokens closer than this are visible; by default the whole context."""
    position: Literal["learned", "rope", "sinusoidal", "none"]
    """Position encoding."""
    norm: Literal["layer", "rms"]
    """Normalization: LayerNorm or RMSNorm."""
    norm_eps: float | None = Field(default=None, gt=0, lt=1)
    """Added to the variance in norms, against division by zero; by default 1e-5, or 1e-6 in RMSNorm."""
    mlp: Literal["gelu", "gelu_erf", "swiglu"]
    """MLP: GELU in GPT-2's tanh approximation, exact GELU (nanoGPT), or SwiGLU."""
    bias: bool
    """Use biases in linear layers and norms."""
    qk_norm: bool
    """Normalize queries and keys (RMSNorm) before their product."""
    tie_embeddings: bool
    """Share one matrix between token embedding and output head."""
    ngram_order: int = Field(default=0, ge=0, le=16)
    """Longest n-gram with its own embedding (2 or more); 0 disables n-gram embeddings. GPT only."""
    ngram_rows: int = Field(default=65_536, ge=1, le=1 << 26)
    """Rows of the hashed embedding table shared by all n-grams."""
    ngram_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping an n-gram embedding at a position; for long training runs."""
    init: Literal["gpt2", "zero"]
    """Initial weights: GPT-2's scheme, or unit variance with each block starting as the identity."""
    rope_theta: float = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies (RoPE theta)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on embeddings and on the outputs of attention and MLP."""
    lora_rank: int = Field(default=0, ge=0, le=4096)
    """With --from: train LoRA adapters of this rank and freeze the other weights; 0 trains all weights."""
    lora_alpha: float | None = Field(default=None, gt=0)
    """LoRA scale: the adapter's output times alpha / rank; by default alpha is twice the rank."""
    new_tokens: Annotated[int, Parameter(parse=False)] = Field(default=0, ge=0)
    """Added tokens at the end of the vocabulary, trained with the adapters; derived from the data."""
    lora_embeddings: Annotated[bool, Parameter(parse=False)] = False
    """Train embedding and head as a whole, next to adapters; derived from the data, if letters are new."""
    image_size: int = Field(default=64, ge=4, le=1024)
    """Width and height of a captioner's images after resizing, in pixels."""
    patch_size: int = Field(default=8, ge=1, le=256)
    """Width and height of an image patch, in pixels."""
    channels: Annotated[Literal[1, 3], Parameter(parse=False)] = 1
    """Image channels: 1 for gray, 3 for color; derived from the data."""
    prompt: Annotated[str, Parameter(parse=False)] = Field(default="\n", min_length=1)
    """Beginning of a sample without a prompt, derived from the data: a newline, or the text's first word."""
    end: Annotated[str, Parameter(parse=False)] = ""
    """Mark at the end of each document of the text, at which samples stop; derived from the data."""
    labels: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    """Class names of a classifier, derived from the data; an encoder without classes fills masks."""

    @model_validator(mode="wrap")
    @classmethod
    def _fill_from_presets(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill missing fields from the presets; they do not count as set (`model_fields_set`)."""
        if not isinstance(given, dict):
            return validate(given)
        named = {name: given[name] for name in ("preset", "size") if name in given}
        presets = combine(preset_layers({"model": named}))["model"]
        config = validate(presets | given)
        config.model_fields_set.intersection_update(given)
        return config

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.head_size is None and self.n_embd % self.n_head:
            raise ValueError(
                N_(
                    "`n_embd` ({n_embd}) must be a multiple of `n_head` ({n_head})",
                    n_embd=self.n_embd,
                    n_head=self.n_head,
                )
            )
        if self.n_head % self.kv_heads:
            raise ValueError(
                N_(
                    "`n_head` ({n_head}) must be a multiple of `n_kv_head` ({n_kv_head})",
                    n_head=self.n_head,
                    n_kv_head=self.n_kv_head,
                )
            )
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(
                N_(
                    "`position` rope needs heads of an even width, got {head_size}. Change `n_head`, "
                    "`head_size` or `position`.",
                    head_size=self.head_dim,
                )
            )
        return self

    @model_validator(mode="after")
    def _check_ngrams(self) -> Self:
        if self.ngram_order == 1:
            raise ValueError(
                N_("`ngram_order` is 1, but an n-gram has at least 2 tokens. Give 2 or more, or 0 for none.")
            )
        if self.ngram_order and self.family != "gpt":
            raise ValueError(
                N_(
                    "`ngram_order` (set by speedrun) is for gpt, not for {family}. Choose another preset.",
                    family=self.family,
                )
            )
        return self

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        if self.family == "captioner" and self.image_size % self.patch_size:
            raise ValueError(
                N_(
                    "`image_size` ({image_size}) must be a multiple of `patch_size` ({patch_size})",
                    image_size=self.image_size,
                    patch_size=self.patch_size,
                )
            )
        return self

    @model_validator(mode="after")
    def _check_lora(self) -> Self:
        if self.lora_rank and self.family != "gpt":
            raise ValueError(
                N_("`lora_rank` is for gpt, not for {family}. Leave it out.", family=self.family)
            )
        if self.lora_rank > self.n_embd:
            raise ValueError(
                N_(
                    "`lora_rank` ({lora_rank}) must be at most `n_embd` ({n_embd}).",
                    lora_rank=self.lora_rank,
                    n_embd=self.n_embd,
                )
            )
        return self

    @property
    def lora_scale(self) -> float:
        """LoRA scale, resolved: alpha / rank."""
        return 2.0 if self.lora_alpha is None else self.lora_alpha / max(1, self.lora_rank)

    @property
    def encoder_layers(self) -> int:
        """Number of encoder blocks, resolved."""
        return self.n_encoder_layer or self.n_layer

    @property
    def n_patch(self) -> int:
        """Number of patches per image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def head_dim(self) -> int:
        """Width of one attention head, resolved."""
        return self.head_size or self.n_embd // self.n_head

    @property
    def eps(self) -> float:
        """Epsilon of a block's norms, resolved."""
        return self.norm_eps or (1e-6 if self.norm == "rms" else 1e-5)

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads, resolved."""
        return self.n_kv_head or self.n_head

    @property
    def hidden(self) -> int:
        """Width of the MLP, resolved; a multiple of 32 with swiglu."""
        if self.n_hidden:
            return self.n_hidden
        return -(-self.n_embd * 8 // 3 // 32) * 32 if self.mlp == "swiglu" else 4 * self.n_embd
