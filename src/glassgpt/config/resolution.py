"""Resolve a configuration: each field gets a value and an origin, in one place, validated as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from glassgpt.config.base import Tables
from glassgpt.config.flat import flat_name, invalid
from glassgpt.config.layers import Layer, combine, fields, origins, preset_layers
from glassgpt.config.schema import RunConfig
from glassgpt.tables import as_html

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """One resolved field: its dotted name, its value and the origin of the value."""

    name: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Resolved:
    """A complete configuration, the origin of each value, and the layers that the user gave."""

    config: RunConfig
    origins: dict[str, str]
    given: tuple[Layer, ...]

    def settings(self) -> Iterator[Setting]:
        """Yield every field with its value and origin, in the order of the schema."""
        derived = self._derived()
        for name, value in fields(self.config.model_dump(mode="json")):
            value = derived.get(name) if value is None else value
            yield Setting(name, value, self.origins.get(name, DEFAULT))

    def _repr_html_(self) -> str:
        rows = [(flat_name(RunConfig, each.name), str(each.value), each.origin) for each in self.settings()]
        marked = [
            i for i, (_, _, origin) in enumerate(rows) if origin in {layer.origin for layer in self.given}
        ]
        return as_html(["setting", "value", "from"], rows, marked=marked)

    def _derived(self) -> Tables:
        """Return the values of fields that follow from others when they are not set."""
        model, optim = self.config.model, self.config.optim
        return {
            "model.n_kv_head": model.kv_heads,
            "model.head_size": model.head_dim,
            "model.n_hidden": model.hidden,
            "model.norm_eps": model.eps,
            "model.n_encoder_layer": model.encoder_layers,
            "optim.lr": optim.peak_lrs["lr"],
        }

    def is_given(self, name: str) -> bool:
        """True if the user gave this field (by its dotted name)."""
        return name in origins(self.given)


def resolve(given: Sequence[Layer] | RunConfig, facts: Sequence[Layer] = ()) -> Resolved:
    """Combine presets, facts and what the user gave into one validated configuration.

    given: the user's settings, weakest first (a file, then options), or a configuration whose explicitly set
    fields count as given. facts: what was found later (the base run, the data); weaker than what was given,
    stronger than presets. Raises UserError for settings that cannot be used.

    >>> resolved = resolve([Layer("option", {"model": {"size": "nano", "n_layer": 3}})])
    >>> [(s.name, s.value, s.origin) for s in resolved.settings() if s.name[:9] == "model.n_h"]
    [('model.n_head', 4, 'size nano'), ('model.n_hidden', 192, 'default')]
    """
    if isinstance(given, RunConfig):
        given = [Layer("given", given.given())]
    presets = preset_layers(combine([*_families(facts), *given]))
    layers = [*presets, *facts, *given]
    try:
        config = RunConfig.model_validate(combine(layers))
    except ValidationError as error:
        raise invalid(RunConfig, error) from error
    return Resolved(config, origins(layers), tuple(given))


def _families(facts: Sequence[Layer]) -> list[Layer]:
    """The model family named by a fact decides which family preset applies."""
    named = [layer.tables.get("model", {}).get("family") for layer in facts]
    return [Layer("", {"model": {"family": family}}) for family in named if family is not None]
