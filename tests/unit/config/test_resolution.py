"""Layers of settings: the order in which they win, and the origin of each value."""

from __future__ import annotations

import pytest

from glassgpt.config import DATASETS, Layer, RunConfig, preset, preset_names, resolve
from glassgpt.errors import UserError


def settings(*layers: Layer, facts: tuple[Layer, ...] = ()) -> dict[str, tuple[object, str]]:
    return {s.name: (s.value, s.origin) for s in resolve(list(layers), facts).settings()}


def option(**tables: dict) -> Layer:
    return Layer("option", tables)


def test_each_layer_wins_over_those_before_it() -> None:
    found = settings(
        Layer("my.toml", {"model": {"n_layer": 5, "n_head": 2}, "train": {"seed": 7}}),
        option(model={"n_layer": 3}, data={"sources": ["dates"]}),
        facts=(Layer("data", {"model": {"n_head": 8, "dropout": 0.5}}),),
    )
    assert found["model.n_layer"] == (3, "option")
    assert found["model.n_head"] == (2, "my.toml")
    assert found["model.dropout"] == (0.5, "data")
    assert found["model.block_size"] == (64, "dataset dates")
    assert found["train.label_smoothing"] == (0.0, "dataset dates")
    assert found["tokenizer.vocab_size"] == (4096, "family seq2seq")
    assert found["model.n_embd"] == (128, "size micro")
    assert found["model.norm"] == ("rms", "architecture modern")
    assert found["train.seed"] == (7, "my.toml") and found["train.evals"][1] == "default"


def test_a_size_that_is_named_wins_over_family_and_dataset() -> None:
    assert settings(option(model={"family": "encoder"}))["model.block_size"] == (128, "family encoder")
    named = settings(option(model={"family": "encoder", "size": "nano"}))
    assert named["model.block_size"] == (64, "size nano")
    assert named["model.n_layer"] == (2, "size nano")


def test_a_family_found_later_brings_its_preset() -> None:
    found = settings(facts=(Layer("task translation", {"model": {"family": "seq2seq"}}),))
    assert found["model.family"] == ("seq2seq", "task translation")
    assert found["train.label_smoothing"] == (0.1, "family seq2seq")


def test_every_field_has_a_value_and_an_origin() -> None:
    names = [s.name for s in resolve([]).settings()]
    assert len(names) == len(set(names))
    tables = RunConfig.model_validate({}).model_dump()
    assert set(names) == {"task", "exportable"} | {
        f"{t}.{f}" for t, table in tables.items() if isinstance(table, dict) for f in table
    }


def test_explicit_fields_of_a_configuration_count_as_given() -> None:
    config = RunConfig.model_validate({"model": {"size": "nano"}, "train": {"steps": 3}})
    resolved = resolve(config)
    assert resolved.is_given("train.steps") and resolved.is_given("model.size")
    assert not resolved.is_given("model.n_layer")
    assert resolved.config == config and resolve(resolved.given).config == config


def test_what_cannot_be_used_is_an_error_of_the_whole() -> None:
    with pytest.raises(UserError, match=r"`n_layer`: .* got 0") as caught:
        resolve([option(model={"n_layer": 0, "n_head": 3})])
    assert "n_layer" in str(caught.value.__cause__)
    with pytest.raises(UserError):
        resolve([option(model={"lora_rank": 4096})])


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_settings_that_hold(name: str) -> None:
    found = settings(option(data={"sources": [name]}))
    for table, fields in preset("dataset", name).items():
        for field, value in fields.items():
            assert found[f"{table}.{field}"] == (value, f"dataset {name}")


def test_every_family_is_a_preset() -> None:
    for family in preset_names("family"):
        assert RunConfig.model_validate({"model": {"family": family}}).model.family == family
