"""Migration from format 1: each renamed name, in weights, optimizer state, config.json and state.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassgpt.checkpoint import (
    CorruptCheckpoint,
    Run,
    load_run,
    read_state,
    read_tensors,
    save_step,
    steps,
    verify_run,
    verify_step,
)
from glassgpt.checkpoint.store import SkipInit, layout, read_specs
from glassgpt.checkpoint.store.header import Spec
from glassgpt.checkpoint.store.manifest import fingerprint
from glassgpt.checkpoint.store.migrate import FORMAT, migrate_config, migrate_names, migrate_state
from glassgpt.config import ModelConfig, RunConfig
from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN
from glassgpt.models import build

WEIGHTS = {  # format 1 → today
    "wte.weight": "wte.weight",
    "ngrams.table.weight": "ngrams.table.weight",
    "table.weight": "table.weight",
    "blocks.0.attn.qkv.weight": "blocks.0.attn.qkv.weight",
    "blocks.1.norm_x.weight": "blocks.1.norm_cross.weight",
    "blocks.1.norm_x.bias": "blocks.1.norm_cross.bias",
    "blocks.0.cross.qkv.weight": "blocks.0.cross_attn.qkv.weight",
    "blocks.0.cross.proj.bias": "blocks.0.cross_attn.proj.bias",
    "eye.patches.weight": "vision_encoder.patches.weight",
    "eye.blocks.0.mlp.proj.weight": "vision_encoder.blocks.0.mlp.proj.weight",
    "crossing.weight": "crossing.weight",  # whole parts of a name only
    "eyes.weight": "eyes.weight",
}
OPTIMIZER = {
    "adamw/wte.weight/exp_avg_sq": "adamw/wte.weight/exp_avg_sq",
    "adamw/wte.weight/step": "adamw/wte.weight/step",
    "adamw/blocks.0.norm_x.weight/step": "adamw/blocks.0.norm_cross.weight/step",
    "muon/blocks.0.cross.qkv.weight/momentum": "muon/blocks.0.cross_attn.qkv.weight/momentum",
    "muon/eye.blocks.0.attn.proj.weight/momentum": "muon/vision_encoder.blocks.0.attn.proj.weight/momentum",
    "rows/ngrams.table.weight/square": "sparse_rmsprop/ngrams.table.weight/exp_avg_sq",
    "rows/ngrams.table.weight/steps": "sparse_rmsprop/ngrams.table.weight/step",
}


@pytest.mark.parametrize(("old", "new"), WEIGHTS.items())
def test_a_name_of_a_weight(old: str, new: str) -> None:
    assert migrate_names("model", {old: 1}, 1) == {new: 1}
    assert migrate_names("model", {new: 1}, FORMAT) == {new: 1}


@pytest.mark.parametrize(("old", "new"), OPTIMIZER.items())
def test_a_name_of_optimizer_state(old: str, new: str) -> None:
    assert migrate_names("optimizer", {old: 1}, 1) == {new: 1}
    assert migrate_names("optimizer", {new: 1}, FORMAT) == {new: 1}


def test_a_weight_called_rows_is_no_optimizer() -> None:
    assert migrate_names("model", {"rows/a/square": 1}, 1) == {"rows/a/square": 1}


def test_two_names_that_become_one_are_refused() -> None:
    with pytest.raises(UserError, match="Two tensors have the same name"):
        migrate_names("model", {"eye.x": 1, "vision_encoder.x": 2}, 1)


def test_config_and_state() -> None:
    old = {"tune": {"run": "a"}, "data": {"skip_bad": True, "sources": ["x"]}, "model": {"n_layer": 1}}
    new = {
        "init_from": {"run": "a"},
        "data": {"skip_invalid": True, "sources": ["x"]},
        "model": {"n_layer": 1},
        "task": "language",  # format 1 had only the family
    }
    assert migrate_config(dict(old)) == migrate_config(dict(old) | {"format": 1}) == new
    assert migrate_config({**new, "format": FORMAT}) == new
    state = migrate_state({"format": 1, "step": 3, "scope": {"torch": "2"}, "left_out": [2]}, 1)
    assert state == {"format": FORMAT, "step": 3, "environment": {"torch": "2"}, "skipped_steps": [2]}


@pytest.mark.parametrize("config", [{"data": 3}, {"data": None}, {"tune": [1]}, {}])
def test_any_config_of_a_stranger_is_validated_later(config: dict[str, Any]) -> None:
    migrate_config(dict(config))


@pytest.mark.parametrize("version", ["2", 1.0, True, None, 0, -1, 10**30])
def test_a_config_with_another_format_number(version: Any) -> None:
    with pytest.raises(UserError, match="format"):
        migrate_config({"format": version})


OLD_NAME = {"cross_attn": "cross", "norm_cross": "norm_x", "vision_encoder": "eye"}


def old_name(name: str) -> str:
    return ".".join(OLD_NAME.get(part, part) for part in name.split("."))


def old_step(folder: Path, model: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor]) -> Path:
    """A step as format 1 wrote it."""
    state = {"elapsed_s": 1.0, "eval_s": 0.1, "next_eval": 0.5, "best": None, "best_step": None}
    step = save_step(
        folder, 1, {"model": model, "optimizer": optimizer}, state | {"scope": {}, "left_out": []}
    )
    found = json.loads((step / "state.json").read_text())
    (step / "state.json").write_text(json.dumps(found | {"format": 1}))
    seal(step)
    return step


def seal(step: Path) -> None:
    files = {f.name: fingerprint(f) for f in step.iterdir() if f.name != "MANIFEST.json"}
    (step / "MANIFEST.json").write_text(json.dumps({"format": 1, "files": files}))


@pytest.fixture(params=["seq2seq", "captioner", "gpt"])
def old_run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run of format 1 with all renamed modules of its family; gpt has n-gram embeddings."""
    size = {"size": "nano", "n_layer": 1, "n_embd": 16, "n_head": 2, "block_size": 16}
    family = {"family": request.param, "preset": "speedrun" if request.param == "gpt" else "modern"}
    config = RunConfig.model_validate(
        {"data": {"sources": []}, "model": {**size, **family, "ngram_rows": 64}}
    )
    run = Run(tmp_path / "run")
    run.path.mkdir()
    tables = config.model_dump(mode="json")
    tables["tune"], tables["data"]["skip_bad"] = tables.pop("init_from"), tables["data"].pop("skip_invalid")
    run.config_file.write_text(json.dumps(tables))
    run.baselines_file.write_text("{}")
    run.tokenizer_file.write_bytes((BUILTIN / "text" / "tokenizer.json").read_bytes())
    model = {old_name(name): torch.randn(shape) for name, shape in run.layout().shapes.items()}
    optimizer = {}
    for name, weight in model.items():
        kind, moment, count = (
            ("rows", "square", "steps") if "ngrams" in name else ("adamw", "exp_avg", "step")
        )
        optimizer |= {f"{kind}/{name}/{moment}": weight.abs(), f"{kind}/{name}/{count}": torch.tensor(1.0)}
    old_step(run.checkpoints, model, optimizer)
    return run.path


def test_a_run_of_format_1_loads_and_is_healthy(old_run: Path) -> None:
    step = steps(old_run / "checkpoints")[0]
    stored = load_file(step / "model.safetensors")
    model, _ = load_run(old_run)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, stored[old_name(name)])
    health = verify_run(old_run)
    assert health.code == 0 and health.steps[0].resumable
    kinds = {name.split("/")[0] for name in read_specs(step, "optimizer")}
    assert "rows" not in kinds and ("sparse_rmsprop" in kinds) == (model.config.family == "gpt")
    assert {"environment", "skipped_steps"} <= read_state(step).keys()


def test_specs_and_tensors_get_the_same_names(old_run: Path) -> None:
    step = steps(old_run / "checkpoints")[0]
    for stem in ("model", "optimizer"):
        found = {name: Spec("F32", tuple(t.shape)) for name, t in read_tensors(step, stem).items()}
        assert read_specs(step, stem) == found


@pytest.mark.parametrize("damage", ["shape", "missing", "extra"])
def test_an_old_run_is_checked_before_anything_is_allocated(
    old_run: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile run of format 1 gets no further than one of today's."""
    step = steps(old_run / "checkpoints")[0]
    model = load_file(step / "model.safetensors")
    name = next(name for name in model if model[name].dim() == 2)
    changed = {"shape": {name: torch.zeros(1, 1)}, "missing": {}, "extra": {"eye.more": torch.zeros(1)}}[
        damage
    ]
    model = {key: t for key, t in model.items() if damage != "missing" or key != name} | changed
    (step / "model.safetensors").unlink()
    (step / "MANIFEST.json").unlink()
    save_file(model, step / "model.safetensors")
    seal(step)
    verify_step(step)
    for place in ("glassgpt.checkpoint.store.step.load_file", "glassgpt.checkpoint.run.build"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("allocated"))
    with pytest.raises(UserError, match=r"does not fit config\.json"):
        load_run(old_run)
    assert "does not fit config.json" in str(verify_run(old_run).steps[0].problem)


def test_mixed_names_in_an_old_step(tmp_path: Path) -> None:
    step = old_step(tmp_path, {"eye.w": torch.ones(1), "vision_encoder.w": torch.zeros(1)}, {})
    for read in (read_specs, read_tensors):
        with pytest.raises(CorruptCheckpoint, match="Two tensors have the same name"):
            read(step, "model")


@pytest.mark.parametrize(("name", "family"), [("dates", "seq2seq"), ("scenes", "captioner"), ("text", "gpt")])
def test_the_built_in_runs_of_format_1_load(name: str, family: str) -> None:
    run = Run(BUILTIN / name)
    assert "format" not in json.loads(run.config_file.read_text())
    model, _ = load_run(run.path)
    assert model.config.family == family and verify_run(run.path).code == 0


def test_every_name_of_today_comes_from_one_of_format_1() -> None:
    """For all families; a change that renames a module has to raise the format."""
    for family in ("gpt", "bigram", "encoder", "seq2seq", "captioner"):
        config = ModelConfig.model_validate({"size": "nano", "n_layer": 1, "family": family})
        with torch.device("meta"), SkipInit():
            names = {name: None for name, _ in build(config, 20).named_parameters()}
        assert migrate_names("model", {old_name(name): None for name in names}, 1) == names
        assert names.keys() == layout(config, 20).shapes.keys()
