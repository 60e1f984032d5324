"""The shape of a model: a preset of architecture, a preset of size, and what deviates from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import Field, ModelWrapValidatorHandler, model_validator

from glassgpt.config.base import Config, preset_names
from glassgpt.config.layers import combine, preset_layers

Architecture = Literal["modern", "gpt2", "speedrun"]
Size = Literal["nano", "micro", "mini", "small"]
if TYPE_CHECKING:
    Family = str
else:  # the presets of config/presets/family, so that a new family is a file
    Family = Literal[preset_names("family")]


@Parameter(name="*")
class ModelConfig(Config):
    """The shape of a model: a preset of architecture, a preset of size, and what deviates from them."""

    family: Annotated[Family, Parameter(name="--model")] = "gpt"
    """The kind of model: `gpt` writes on, `bigram` is a table, `encoder` fills gaps or classifies, `seq2seq`
    translates, `captioner` answers about images."""
    preset: Architecture = "modern"
    """Architecture: `modern` (RoPE, RMSNorm, SwiGLU, QK-norm), `gpt2`, or `speedrun`: modern with embeddings
    of runs of tokens, which learns a small text several times faster and which no other program can load."""
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
    """Kind of normalization."""
    mlp: Literal["gelu", "gelu_erf", "swiglu"]
    """Kind of MLP: GELU in the tanh form of GPT-2, in its exact form (nanoGPT), or gated."""
    bias: bool
    """Biases in the linear layers and norms."""
    qk_norm: bool
    """RMSNorm on queries and keys before their product."""
    tie_embeddings: bool
    """The output head shares the matrix of the token embedding."""
    ngram_order: int = Field(default=0, ge=0, le=16)
    """Longest run of tokens that has an embedding beside its last token's, from 2; 0 for none. For gpt."""
    ngram_rows: int = Field(default=65_536, ge=1, le=1 << 26)
    """Rows that the embeddings of all runs share by their hash."""
    ngram_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance that a run's embedding is left out at a place in training, for trainings of many minutes."""
    init: Literal["gpt2", "zero"]
    """Scheme of the first weights: GPT-2's, or unit variance with every block starting as the identity."""
    rope_theta: float = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on embeddings and on the outputs of attention and MLP."""
    lora_rank: int = Field(default=0, ge=0, le=4096)
    """With --from: train matrices of this rank beside those of the blocks, which stay as they are; 0: all."""
    lora_alpha: float | None = Field(default=None, gt=0)
    """Their product is scaled by alpha / rank; by default alpha is twice the rank."""
    new_tokens: Annotated[int, Parameter(parse=False)] = Field(default=0, ge=0)
    """Tokens at the end of the vocabulary whose rows are trained beside them; found from the data."""
    image_size: int = Field(default=64, ge=4, le=1024)
    """Width and height to which a captioner's images are brought, in pixels."""
    patch_size: int = Field(default=8, ge=1, le=256)
    """Width and height of the patches that an image is cut into, in pixels."""
    channels: Annotated[Literal[1, 3], Parameter(parse=False)] = 1
    """1 for gray images, 3 for color; found in the data."""
    labels: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    """Names of the classes that an encoder tells apart, found in the data; without any it fills in tokens."""

    @model_validator(mode="wrap")
    @classmethod
    def _fill_from_presets(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """What is not given comes from the presets, and does not count as set (`model_fields_set`)."""
        if not isinstance(given, dict):
            return validate(given)
        named = {name: given[name] for name in ("preset", "size") if name in given}
        presets = combine(preset_layers({"model": named}))["model"]
        config = validate(presets | given)
        config.model_fields_set.intersection_update(given)
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
    def _check_ngrams(self) -> Self:
        if self.ngram_order == 1:
            raise ValueError("runs have at least 2 tokens: give 2 or more, or 0 for none")
        if self.ngram_order and self.family != "gpt":
            raise ValueError(f"ngram_order (which speedrun sets) is for gpt, not for {self.family}")
        return self

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        if self.family == "captioner" and self.image_size % self.patch_size:
            raise ValueError(
                f"image_size ({self.image_size}) must be a multiple of patch_size ({self.patch_size})"
            )
        return self

    @model_validator(mode="after")
    def _check_lora(self) -> Self:
        if self.lora_rank and self.family != "gpt":
            raise ValueError(f"lora_rank is for gpt, not for {self.family}: leave it out")
        if self.lora_rank > self.n_embd:
            raise ValueError(f"lora_rank ({self.lora_rank}) must be at most n_embd ({self.n_embd})")
        return self

    @property
    def lora_scale(self) -> float:
        """By what the product of two adapters is multiplied: alpha / rank."""
        return 2.0 if self.lora_alpha is None else self.lora_alpha / max(1, self.lora_rank)

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
        return -(-self.n_embd * 8 // 3 // 32) * 32 if self.mlp == "swiglu" else 4 * self.n_embd
