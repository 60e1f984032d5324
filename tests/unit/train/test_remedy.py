"""Remedies that are tried: both sides begin alike, a change is measured, and findings carry the result."""

from __future__ import annotations

import pytest

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.diagnose import Examination, Symptom
from glassgpt.doctor import load_examination, save_examination
from glassgpt.language import N_, _, using
from glassgpt.tasks import task_of
from glassgpt.train import start, try_remedy, with_trials
from glassgpt.train.remedy import Remedy

TEXT = "".join(f"{i} green bottles hanging on the wall, {i % 7} should fall.\n" for i in range(300))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose rate is far too low."""
    folder = tmp_path_factory.mktemp("remedy")
    (folder / "notes.txt").write_text(TEXT)
    settings = {
        "data": {"sources": (str(folder / "notes.txt"),)},
        "model": {"n_layer": 1, "n_embd": 16, "n_head": 1, "block_size": 16},
        "train": {"steps": 20, "micro_batch_size": 4, "sample_tokens": 0, "evals": 2},
        "optim": {"lr": 1e-4, "muon_lr": 1e-4},
    }
    session = start(RunConfig.model_validate(settings), folder / "run")
    for _event in session.run():
        pass
    return session.folder


def test_both_sides_begin_alike(run: Run) -> None:
    data = task_of(run.config()).data.open(run.config(), run.tokenizer(), run)
    same = try_remedy(run, run.config(), data, Remedy(lambda config: {"weight_decay": 0.1}))
    assert same.gain == 0 and "no clear difference" in same.sentence


def test_a_remedy_that_helps_is_measured_and_kept(run: Run) -> None:
    symptom = Symptom(
        "learning rate", 1.0, N_("{n} lines", n=3), "warn", cause="low", remedy="raise the rate"
    )
    found = with_trials(run, Examination((symptom,)))
    trial = found.findings[0].trial
    assert trial is not None and trial.gain > 2 * trial.error > 0
    assert "better" in trial.sentence and "`lr` 0.0001 → 0.0004" in trial.sentence
    save_examination(run, found)
    kept = load_examination(run)
    assert kept is not None and kept.found == found and kept.step == run.best_checkpoint().name
    with using("zh"):
        assert "更好" in _(trial.sentence)


def test_a_template_of_a_stranger_is_not_formatted(run: Run) -> None:
    save_examination(run, Examination((Symptom("a", 1.0, N_("{n:>9} unknown", n=1), "warn"),)))
    kept = load_examination(run)
    assert kept is not None and type(kept.found.findings[0].expected) is str
    run.doctor_file.write_text('{"format": 1, "findings": [{}]}')
    assert load_examination(run) is None


def test_what_no_setting_changes_is_not_tried(run: Run) -> None:
    found = Examination((Symptom("mask", 1.0, 0.0, "fail", remedy=""),))
    assert with_trials(run, found) is found
