"""`max_epochs`: a run ends after so many passes over its text, with the learning rate at its end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from glassgpt.errors import UserError
from glassgpt.train import Session, StepDone, Warned, resume, start
from helpers.tiny_run import tiny_config

TEXT = "".join(f"Verse {i}: {i * 7 % 31} geese cross the river, {i * 5 % 13} come back.\n" for i in range(60))


def session_of(tmp_path: Path, **length: float) -> Session:
    (tmp_path / "text.txt").write_text(TEXT)
    train = {"evals": 2, "sample_tokens": 0, "micro_batch_size": 4} | length
    return start(tiny_config(tmp_path / "text.txt", train), tmp_path / "run")


def test_a_run_by_the_clock_ends_after_its_passes(tmp_path: Path) -> None:
    session = session_of(tmp_path, minutes=5, max_epochs=2.0)
    events = [*session.run()]
    done = [event for event in events if isinstance(event, StepDone)]
    per_epoch = session.data.steps_per_epoch
    assert done[-1].step == math.ceil(2 * per_epoch) and session.trainer.elapsed_s < 60
    rates = [rate for event in done[:: len(done) - 1] for rate in event.lrs.values()]
    assert max(rates[len(rates) // 2 :]) < 0.1 * max(rates)  # it has fallen by then
    assert any("after 2 passes" in str(event.message) for event in events if isinstance(event, Warned))
    left = [event.left_s for event in done if event.left_s is not None]
    assert left[-1] < 60 < session.trainer.budget.left_s(session.trainer.clock.elapsed)

    session.verdict()
    with pytest.raises(UserError, match=r"longer total length.*max_epochs=4"):
        resume(tmp_path / "run")
    longer = session.trainer.config.model_copy(
        update={"train": session.trainer.config.train.model_copy(update={"max_epochs": 3.0})}
    )
    again = resume(tmp_path / "run", longer)
    assert [e.step for e in again.run() if isinstance(e, StepDone)][-1] == math.ceil(3 * per_epoch)


@pytest.mark.parametrize(("steps", "max_epochs"), [(6, 100.0), (10_000, 1.0)])
def test_the_first_of_both_lengths_ends_a_run_of_steps(tmp_path: Path, steps: int, max_epochs: float) -> None:
    session = session_of(tmp_path, steps=steps, max_epochs=max_epochs)
    last = [event.step for event in session.run() if isinstance(event, StepDone)][-1]
    most = math.ceil(max_epochs * session.data.steps_per_epoch)
    assert last == min(steps, most) == session.trainer.budget.steps
