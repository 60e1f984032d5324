"""config.json of transformers as our configuration; a field that we do not compute is refused by name.

Three classes are known. Each reads a fixed list of fields: the tables below name those that change what the
model computes. Other fields (of generation, training and heads that are not here) have no effect.
tests/equivalence/test_import_config.py compares the defaults with transformers' own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from glassgpt.config import ModelConfig, problem_in_words
from glassgpt.errors import UserError
from glassgpt.language import N_, clipped
from glassgpt.safe_io import quoted


class Field(NamedTuple):
    """Our setting for a field of transformers, and its default there."""

    ours: str
    default: Any


@dataclass(frozen=True)
class Architecture:
    """A class of transformers: its fields, and the values under which ours computes the same."""

    settings: Mapping[str, Any]
    """Our settings that the class fixes."""
    fields: Mapping[str, Field]
    """Sizes and other free values."""
    choices: Mapping[str, Mapping[Any, Mapping[str, Any]]]
    """Field → the values that we compute, each with our settings for it. The first one is the default."""
    n_vocab: int
    """Default of `vocab_size`."""
    has_rope: bool = False
    has_window: bool = False


def _only(*values: Any) -> dict[Any, dict[str, Any]]:
    return {value: {} for value in values}


COMMON = {"quantization_config": _only(None), "auto_map": _only(None)}
GPT2 = Architecture(
    {"preset": "gpt2"},
    {
        "n_positions": Field("block_size", 1024),
        "n_embd": Field("n_embd", 768),
        "n_layer": Field("n_layer", 12),
        "n_head": Field("n_head", 12),
        "n_inner": Field("n_hidden", None),
        "layer_norm_epsilon": Field("norm_eps", 1e-5),
        "resid_pdrop": Field("dropout", 0.1),
        "tie_word_embeddings": Field("tie_embeddings", True),
    },
    {
        **COMMON,
        "model_type": _only("gpt2"),
        "activation_function": {
            "gelu_new": {"mlp": "gelu"},
            "gelu_pytorch_tanh": {"mlp": "gelu"},
            "gelu": {"mlp": "gelu_erf"},
        },
        "scale_attn_weights": _only(True),
        "scale_attn_by_inverse_layer_idx": _only(False),
        "add_cross_attention": _only(False),
    },
    n_vocab=50_257,
)
LLAMA = Architecture(
    {"preset": "modern", "qk_norm": False},
    {
        "max_position_embeddings": Field("block_size", 2048),
        "hidden_size": Field("n_embd", 4096),
        "intermediate_size": Field("n_hidden", 11_008),
        "num_hidden_layers": Field("n_layer", 32),
        "num_attention_heads": Field("n_head", 32),
        "num_key_value_heads": Field("n_kv_head", None),
        "head_dim": Field("head_size", None),
        "rms_norm_eps": Field("norm_eps", 1e-6),
        "tie_word_embeddings": Field("tie_embeddings", False),
    },
    {
        **COMMON,
        "model_type": _only("llama"),
        "hidden_act": _only("silu", "swish"),
        "attention_bias": _only(False),
        "mlp_bias": _only(False),
    },
    n_vocab=32_000,
    has_rope=True,
)
QWEN3 = Architecture(
    {"preset": "modern", "qk_norm": True},
    {
        **LLAMA.fields,
        "max_position_embeddings": Field("block_size", 32_768),
        "intermediate_size": Field("n_hidden", 22_016),
        "num_key_value_heads": Field("n_kv_head", 32),
        "head_dim": Field("head_size", 128),
    },
    {
        **COMMON,
        "model_type": _only("qwen3"),
        "hidden_act": _only("silu", "swish"),
        "attention_bias": _only(False),
    },
    n_vocab=151_936,
    has_rope=True,
    has_window=True,
)
ARCHITECTURES = {"GPT2LMHeadModel": GPT2, "LlamaForCausalLM": LLAMA, "Qwen3ForCausalLM": QWEN3}


class ForeignConfig(NamedTuple):
    """Settings of a foreign config.json."""

    name: str
    """Class of transformers."""
    shape: ModelConfig
    n_vocab: int


def read_config(found: Mapping[str, Any], where: object) -> ForeignConfig:
    """Return the class, our configuration and the vocabulary of a config.json.

    Raises UserError for another class, and for a field whose value changes the computation to one that ours
    does not do. `where` names the file in errors.
    """
    name = _class_name(found, where)
    known = ARCHITECTURES[name]
    settings: dict[str, Any] = {**known.settings}
    for field, (ours, default) in known.fields.items():
        settings[ours] = _value(found, field, default, where)
    for field, choices in known.choices.items():
        settings |= _choice(found, field, choices, where)
    if known.has_rope:
        settings["rope_theta"] = _theta(found, where)
    shape = _shape(known, settings, where)
    if known.has_window and (window := _window(found, shape.n_layer, where)):
        shape = _shape(known, {**settings, "window": window}, where)
    n_vocab = _value(found, "vocab_size", known.n_vocab, where)
    if n_vocab < 1:
        raise _refused(where, "vocab_size", n_vocab, N_("1 or more"))
    return ForeignConfig(name, shape, n_vocab)


def _class_name(found: Mapping[str, Any], where: object) -> str:
    match found.get("architectures"):
        case [str(name)] if name in ARCHITECTURES:
            return name
        case other:
            raise UserError(
                "{where}: `architectures` is {other}; GlassGPT computes {known}. Choose a model of one of "
                "these classes.",
                where=where,
                other=quoted(other),
                known=", ".join(ARCHITECTURES),
            )


def _shape(known: Architecture, settings: Mapping[str, Any], where: object) -> ModelConfig:
    try:
        return ModelConfig.model_validate({"family": "gpt", **settings})
    except ValidationError as error:
        raise _invalid(known, error, where) from None


def _value(found: Mapping[str, Any], field: str, default: Any, where: object) -> Any:
    """Return the value of a field. Raises UserError for one of another type than its default."""
    value = found.get(field, default)
    if type(default) is float and type(value) is int:
        value = float(value)
    kinds = (int, type(None)) if default is None else (type(default),)
    if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
        raise _refused(where, field, value, "a number" if type(default) is not bool else N_("true or false"))
    return value


def _choice(
    found: Mapping[str, Any], field: str, choices: Mapping[Any, Mapping[str, Any]], where: object
) -> Mapping[str, Any]:
    """Return our settings for the value of a field."""
    value = found.get(field, next(iter(choices)))
    for choice, settings in choices.items():
        if type(value) is type(choice) and value == choice:
            return settings
    raise _refused(where, field, value, " or ".join(map(repr, choices)))


def _theta(found: Mapping[str, Any], where: object) -> float:
    """Return the base of the rotary frequencies. Raises UserError for scaled ones.

    transformers 5 writes `rope_parameters`, 4 wrote `rope_theta` and `rope_scaling`; the table counts first.
    """
    table = found.get("rope_scaling") or found.get("rope_parameters") or {}
    if not isinstance(table, dict):
        raise _refused(where, "rope_parameters", table, "a table")
    kind = table.get("rope_type", table.get("type", "default"))
    if kind != "default":
        raise _refused(where, "rope_type", kind, "'default'")
    if extra := table.keys() - {"rope_type", "type", "rope_theta"}:
        raise _refused(where, "rope_parameters", sorted(map(str, extra)), "rope_type and rope_theta")
    if found.get("partial_rotary_factor", 1) != 1:
        raise _refused(where, "partial_rotary_factor", found["partial_rotary_factor"], "1")
    return _value({"rope_theta": found.get("rope_theta", 10_000.0)} | table, "rope_theta", 10_000.0, where)


def _window(found: Mapping[str, Any], n_layer: int, where: object) -> int | None:
    """Return the sliding window of all layers, or None. Raises UserError if only some layers have one."""
    window = found.get("sliding_window") if found.get("use_sliding_window") is True else None
    kinds = found.get("layer_types")
    if kinds is None:
        first = _value(found, "max_window_layers", 28, where)
        kinds = ["sliding_attention" if window and i >= first else "full_attention" for i in range(n_layer)]
    if kinds == ["full_attention"] * n_layer:
        return None
    if kinds == ["sliding_attention"] * n_layer and type(window) is int:
        return window
    raise _refused(
        where, "layer_types", kinds, N_("the same for all layers: full, or with one sliding window")
    )


def _invalid(known: Architecture, error: ValidationError, where: object) -> UserError:
    """Return the error for a value beyond our limits, under the name of transformers."""
    first = error.errors()[0]
    ours = str(first["loc"][0]) if first["loc"] else ""
    theirs = {field.ours: name for name, field in known.fields.items()} | {"rope_theta": "rope_theta"}
    return UserError(
        "{where}: {field}: {problem} (it is {value}). GlassGPT has no such model.",
        where=where,
        field=theirs.get(ours, ours) or "sizes",
        problem=clipped(problem_in_words(first), lambda text: text.replace("`", "")),
        value=quoted(first["input"]),
    )


def _refused(where: object, field: str, value: Any, allowed: str) -> UserError:
    return UserError(
        "{where}: `{field}` is {value}; GlassGPT computes {allowed}. Choose a model without it.",
        where=where,
        field=field,
        value=quoted(value),
        allowed=allowed,
    )
