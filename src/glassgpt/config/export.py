"""Formats of other programs that a model configuration fits, or the settings that keep it from fitting."""

from __future__ import annotations

from typing import Any, NamedTuple

from glassgpt.config.model import ModelConfig
from glassgpt.language import N_

FORMATS: dict[str, dict[str, Any]] = {
    "Qwen3ForCausalLM": {
        "position": "rope",
        "norm": "rms",
        "mlp": "swiglu",
        "bias": False,
        "qk_norm": True,
        "window": None,
    },
    "LlamaForCausalLM": {
        "position": "rope",
        "norm": "rms",
        "mlp": "swiglu",
        "bias": False,
        "qk_norm": False,
        "window": None,
    },
    "GPT2LMHeadModel": {
        "position": "learned",
        "norm": "layer",
        "mlp": ("gelu", "gelu_erf"),
        "qk_norm": False,
        "window": None,
    },
}
"""Class of Hugging Face's transformers → the values of our settings that it needs, a tuple for several.

Sizes are free, and GPT-2 may lack biases (they are written as zeros).
tests/equivalence/test_huggingface.py compares logits with these classes.
"""


class Export(NamedTuple):
    """The formats that a configuration can leave in; without one, the reason."""

    formats: tuple[str, ...]
    reason: str = ""


def exportable_as(config: ModelConfig) -> Export:
    """Find the classes of transformers that can hold a model of this configuration.

    ONNX holds any model: its graph is written for it.

    >>> exportable_as(ModelConfig.model_validate({"preset": "gpt2"})).formats
    ('GPT2LMHeadModel',)
    >>> exportable_as(ModelConfig.model_validate({"preset": "speedrun"})).reason
    'no class of transformers has n-gram embeddings (`ngram_order` is 5)'
    """
    if config.family != "gpt":
        return Export(
            (),
            N_("no class of transformers is known for the family {family} (`family`)", family=config.family),
        )
    if config.ngram_order:
        return Export(
            (),
            N_(
                "no class of transformers has n-gram embeddings (`ngram_order` is {ngram_order})",
                ngram_order=config.ngram_order,
            ),
        )
    differing = {name: _differing(config, needed) for name, needed in FORMATS.items()}
    if config.kv_heads != config.n_head:
        differing["GPT2LMHeadModel"].append(f"`n_kv_head={config.n_head}`")
    if config.n_head * config.head_dim != config.n_embd:
        differing["GPT2LMHeadModel"].append("`head_size` left out")
    if formats := tuple(name for name, settings in differing.items() if not settings):
        return Export(formats)
    nearest = min(differing, key=lambda name: len(differing[name]))
    return Export(
        (),
        N_(
            "the nearest format, {nearest}, needs {settings}",
            nearest=nearest,
            settings=", ".join(differing[nearest]),
        ),
    )


def _differing(config: ModelConfig, needed: dict[str, Any]) -> list[str]:
    """Return the settings that a format needs and a configuration does not have."""
    return [
        "`window` left out" if name == "window" else f"`{name}={str(_allowed(values)[0]).lower()}`"
        for name, values in needed.items()
        if getattr(config, name) not in _allowed(values)
    ]


def _allowed(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)
