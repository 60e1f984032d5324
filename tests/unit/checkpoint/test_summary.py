"""`summarize`: the state of a run, also of a damaged or hostile one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run, RunSummary, acquire_lock, steps, summarize
from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.diagnose import Score, Verdict
from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(GOLDEN, tmp_path / "run")


def test_a_finished_run(run: Path) -> None:
    found = summarize(Run(run))
    assert (found.state, found.health, found.n_steps, found.model) == ("done", "ok", 6, "modern 1×8")
    assert found.sources == ("text.txt",) and not found.resumable and not found.damaged
    losses = [row["nats_per_char"] for row in Run(run).metrics() if row["event"] == "eval"]
    verdict = Verdict.from_dict(json.loads((run / "verdict.json").read_text()))
    assert isinstance(verdict.model, Score) and found.nats_per_char == verdict.model.nats_per_char
    (run / "verdict.json").unlink()
    assert summarize(Run(run)).nats_per_char == min(losses)
    assert found.comparison[0] in "+-" and found.comparison.endswith(")") and "xz" not in found.comparison


def test_runs_are_compared_on_the_whole_text(run: Path) -> None:
    """A verdict on some parts is scaled to the whole, and so is the baseline's loss next to it."""
    stored = json.loads((run / "verdict.json").read_text())
    before, loss = summarize(Run(run)), stored["model"]["total_nats"] / stored["model"]["n_chars"]
    (run / "verdict.json").write_text(json.dumps(stored | {"whole": 1.2 * loss}))
    found = summarize(Run(run))
    assert found.nats_per_char == pytest.approx(1.2 * loss)
    assert before.baseline_loss and found.baseline_loss == pytest.approx(1.2 * before.baseline_loss)


@pytest.mark.parametrize("whole", ["NaN", "Infinity", "-1", '"a"', "[]"])
def test_a_damaged_estimate_is_an_unreadable_verdict(run: Path, whole: str) -> None:
    stored = (run / "verdict.json").read_text().rstrip().rstrip("}")
    (run / "verdict.json").write_text(f'{stored}, "whole": {whole}}}')
    assert summarize(Run(run)).baseline_loss is None


def test_answers_are_compared_by_their_share() -> None:
    found = summarize(Run(BUILTIN / "dates"))
    assert "exact, tables" in found.comparison and found.model.startswith("seq2seq modern")


def test_a_stopped_run(run: Path) -> None:
    (run / "verdict.json").unlink()
    found = summarize(Run(run))
    assert found.state == "stopped" and found.resumable and found.comparison == ""


def test_an_unreadable_verdict_is_no_result(run: Path) -> None:
    """The run is not called finished, and not resumable: it has ended."""
    for text in ('{"scores": []}', "[", '{"rows": [], "sentence": "", "asked": ""}'):
        (run / "verdict.json").write_text(text)
        found = summarize(Run(run))
        assert found.state == "stopped" and not found.resumable


def test_a_run_that_trains_now(run: Path) -> None:
    (run / "verdict.json").unlink()
    lock = acquire_lock(run)
    found = summarize(Run(run))
    lock.release()
    assert found.state == "training" and not found.resumable
    assert summarize(Run(run)).state == "stopped"


def test_weights_only(run: Path) -> None:
    (run / "verdict.json").unlink()
    (steps(run / "checkpoints")[0] / "optimizer.safetensors").unlink()
    found = summarize(Run(run))
    assert found.state == "weights only" and not found.resumable
    assert found.health == "1 of 1 damaged" and found.damaged


def test_a_run_without_steps(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    assert summarize(Run(run)).state == "no checkpoints"  # whatever its verdict
    (run / "metrics.jsonl").unlink()
    (run / "verdict.json").unlink()
    found = summarize(Run(run))
    assert (found.state, found.health, found.n_steps, found.nats_per_char) == (
        "no checkpoints", "no steps", 0, None,
    )  # fmt: skip
    assert not found.resumable and not found.damaged


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, '"x"', "null", "[]"])
def test_figures_of_a_stranger_are_ignored(run: Path, number: str) -> None:
    lines = [f'{{"event": "step", "step": {number}}}', f'{{"event": "eval", "nats_per_char": {number}}}']
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (run / "verdict.json").unlink()
    found = summarize(Run(run))
    assert found.n_steps == 6 and found.nats_per_char is None


def test_an_unreadable_run(run: Path) -> None:
    (run / "config.json").write_text("{")
    found = summarize(Run(run))
    assert found == RunSummary(run, "unreadable", found.problem, health="unreadable")
    assert "config.json" in found.problem and found.damaged


def test_older_formats_are_summarized_the_same() -> None:
    old, new = (summarize(Run(GOLDEN.parents[1] / f"format-{n}" / "run")) for n in (1, FORMAT))
    assert (old.state, old.model, old.n_steps, old.health) == (new.state, new.model, new.n_steps, new.health)
    assert json.loads((GOLDEN / "config.json").read_text())["format"] == FORMAT


def test_a_configuration_that_does_not_fit_names_the_setting(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(GOLDEN, run)
    config = json.loads((run / "config.json").read_text())
    config["train"]["steps"] = "many"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"\(.*train\.steps.*: input should be a valid integer.*\)\. Restore"):
        Run.open(run).config()
