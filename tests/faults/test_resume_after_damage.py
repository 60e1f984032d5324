"""What a run survives: damaged steps, a lost hint, a cut line, odd seeds, a text of one character."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import load_run, read_pointer, read_tensors, steps
from glassgpt.config import ModelConfig, RunConfig
from glassgpt.errors import UserError
from glassgpt.generate import SamplingParams, generate
from glassgpt.models import build
from glassgpt.train import Evaluated, StepDone, resume, start

TEXT = "".join(
    f"Verse {i}: {i * 7 % 31} swans upon the lake, {i * 5 % 13} upon the shore.\n" for i in range(200)
)


def config(folder: Path, text: str = TEXT, **train: Any) -> RunConfig:
    (folder / "text.txt").write_text(text)
    settings = {"steps": 12, "evals": 4, "sample_tokens": 4, "micro_batch_size": 4} | train
    model = {"size": "nano", "n_layer": 1, "block_size": 32}
    return RunConfig.model_validate(
        {"data": {"sources": [str(folder / "text.txt")]}, "model": model, "train": settings}
    )


def test_a_damaged_newest_step_is_trained_again(tmp_path: Path) -> None:
    """The run falls back, passes the damaged step's number, and ends with the weights of an unharmed run."""
    settings = config(tmp_path)
    list(start(settings, tmp_path / "whole").run())
    session = start(settings, tmp_path / "hurt")
    for event in session.run():
        if isinstance(event, StepDone) and event.step == 7:
            session.trainer.request_stop()
    newest = steps(tmp_path / "hurt/checkpoints")[0]
    (newest / "model.safetensors").write_bytes(b"no")
    session = resume(tmp_path / "hurt")
    assert session.trainer.step < 7 and newest.name in session.notes[0]
    list(session.run())
    final = [steps(tmp_path / name / "checkpoints")[0] for name in ("whole", "hurt")]
    assert final[0].name == final[1].name
    for name, tensor in read_tensors(final[0], "model").items():
        assert torch.equal(tensor, read_tensors(final[1], "model")[name]), name


def test_a_lost_best_is_said_and_replaced(tmp_path: Path) -> None:
    list(start(config(tmp_path), tmp_path / "run").run())
    best = read_pointer(tmp_path / "run/checkpoints", "best")
    assert best is not None
    (best / "model.safetensors").unlink()
    with pytest.warns(UserWarning, match=best.name):
        load_run(tmp_path / "run")


def test_an_emptied_hint_is_restored_on_resume(tmp_path: Path) -> None:
    session = start(config(tmp_path), tmp_path / "run")
    for event in session.run():
        if isinstance(event, StepDone) and event.step == 8:
            session.trainer.request_stop()
    best = read_pointer(tmp_path / "run/checkpoints", "best")
    (tmp_path / "run/checkpoints/best").write_text("")
    resume(tmp_path / "run")
    assert best is not None and read_pointer(tmp_path / "run/checkpoints", "best") == best


def test_a_failed_resume_changes_nothing(tmp_path: Path) -> None:
    list(start(config(tmp_path), tmp_path / "run").run())
    before = (tmp_path / "run/config.json").read_text()
    with pytest.raises(UserError, match="abacus"):
        resume(tmp_path / "run", config(tmp_path, steps=20, device="abacus"))
    with pytest.raises(UserError, match="finished"):
        resume(tmp_path / "run", config(tmp_path, steps=5))
    assert (tmp_path / "run/config.json").read_text() == before


def test_a_failed_start_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="abacus"):
        start(config(tmp_path, device="abacus"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_cut_line_of_metrics_costs_that_line_only(tmp_path: Path) -> None:
    list(start(config(tmp_path), tmp_path / "run").run())
    file = tmp_path / "run/metrics.jsonl"
    rows = len(file.read_text().splitlines())
    file.write_bytes(file.read_bytes()[:-20])
    events = list(resume(tmp_path / "run", config(tmp_path, steps=14, evals=1)).run())
    new = len([event for event in events if isinstance(event, StepDone | Evaluated)])
    lines = file.read_text().splitlines()
    assert len(lines) == rows + new
    assert all(json.loads(line) for line in lines[rows:])


def test_a_longer_run_that_is_stopped_has_no_verdict(tmp_path: Path) -> None:
    list(start(config(tmp_path), tmp_path / "run").run())
    session = resume(tmp_path / "run", config(tmp_path, steps=30))
    for event in session.run():
        if isinstance(event, StepDone):
            session.trainer.request_stop()
    assert not (tmp_path / "run/verdict.json").exists()


def test_no_verdict_before_an_evaluation(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no step was evaluated"):
        start(config(tmp_path), tmp_path / "run").verdict()


@pytest.mark.parametrize("changes", [{"seed": 2**63 - 1}, {"dtype": "bfloat16"}, {"steps": 1}])
def test_settings_at_the_edge(tmp_path: Path, changes: dict[str, Any]) -> None:
    session = start(config(tmp_path, **changes), tmp_path / "run")
    events = [event for event in session.run() if isinstance(event, StepDone)]
    assert events[0].lrs["adamw"] > 0
    assert session.trainer.model.lm_head.weight.abs().sum() > 0  # it started at zero, and has moved


def test_a_text_of_one_character(tmp_path: Path) -> None:
    session = start(config(tmp_path, text="a" * 3000), tmp_path / "run")
    list(session.run())
    assert session.verdict().scores


def test_writing_needs_no_luck_from_dropout() -> None:
    model = build(ModelConfig.model_validate(dict(size="nano", dropout=0.5)), 20)
    torch.nn.init.normal_(model.lm_head.weight)
    model.train()
    texts = {tuple(generate(model, [1], SamplingParams(temperature=0), max_new_tokens=20)) for _ in range(3)}
    assert len(texts) == 1 and model.training


def test_writing_leaves_the_callers_random_numbers_alone() -> None:
    model = build(ModelConfig.model_validate(dict(size="nano")), 20)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    list(generate(model, [1], max_new_tokens=3))
    assert torch.equal(torch.rand(1), expected)
