"""The end of a run by the clock: its reserve follows the machine, and too little time is an error."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.train import StepDone, Warned, final, resume, start
from glassgpt.train.ending import EXIT_S, MAX_SHARE, RECENT, Ending
from glassgpt.train.eval_plan import EvalPlan
from glassgpt.train.shortage import check_time
from helpers.tiny_run import tiny_config

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * i % 13} ducks and herons ashore.\n" for i in range(2000))


def config(path: Path, train: dict[str, Any]) -> RunConfig:
    path.write_text(TEXT)
    return tiny_config(path, train)


def make_ending(time_s: float = 60.0) -> Ending:
    plan = EvalPlan(time_s, 10, 50_000)
    plan.token_s = 1e-5
    plan.choose_part(1024)
    return Ending(plan)


def test_slower_steps_and_slower_saves_raise_the_reserve() -> None:
    ending = make_ending()
    for _ in range(RECENT):
        ending.add_step(0.02)
    before = ending.reserved_s
    ending.save_s = 2.0
    assert ending.reserved_s > before + 2
    for _ in range(RECENT):
        ending.add_step(0.05)
    assert ending.slowdown == pytest.approx(2.5) and ending.exit_s == pytest.approx(2.5 * EXIT_S)
    slow = ending.reserved_s
    assert slow > 2.3 * before
    ending.evaluated()  # the evaluation's time is that of the slower machine now
    assert ending.slowdown == 1 and ending.reserved_s < slow


def test_one_slow_step_changes_little() -> None:
    ending = make_ending()
    for seconds in [*[0.02] * RECENT, 5.0]:
        ending.add_step(seconds)
    assert ending.slowdown == 1


def test_the_reserve_leaves_time_to_train() -> None:
    ending = make_ending(10.0)
    ending.plan.token_s = 1.0
    assert ending.needed_s > 10 and ending.reserved_s == MAX_SHARE * 10


def test_a_slow_model_is_measured_on_less() -> None:
    plan = EvalPlan(60, 10, 1_000_000)
    plan.token_s = 1 / 1000
    plan.choose_part(1024)
    assert plan.eval_s <= 0.051 * 60
    plan.token_s = 1.0
    plan.choose_part(1024)
    assert plan.n_tokens / plan.stride == pytest.approx(1024, rel=0.01)


@pytest.mark.parametrize(
    "prepared_s, problem", [(59.8, "few"), (70.0, "few"), (40.0, "40 s of 1:00: 20 s are left")]
)
def test_a_long_preparation(prepared_s: float, problem: str) -> None:
    ending = make_ending(60 - prepared_s)
    if problem == "few":
        with pytest.raises(
            UserError, match=r"`minutes`: 1 are too few. The preparation took .+ Give 1\.\d or more"
        ):
            check_time(ending, prepared_s, step_s=0.01, step_tokens=1024)
    else:
        assert any(problem in warning for warning in check_time(ending, prepared_s, 0.01, 1024))
    assert not check_time(make_ending(55.0), 5.0, 0.01, 1024)


@pytest.mark.usefixtures("cpu_clock")
def test_no_time_to_train_leaves_no_folder(tmp_path: Path) -> None:
    settings = config(tmp_path / "a.txt", {"minutes": 0.1})
    session = start(settings, tmp_path / "run", began=time.monotonic() - 100)
    with pytest.raises(UserError, match=r"`minutes`: 0\.1 are too few\. The preparation took 1:4\d,"):
        list(session.run())
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("cpu_clock")
def test_a_long_preparation_is_said(tmp_path: Path) -> None:
    session = start(config(tmp_path / "a.txt", {"minutes": 1}), tmp_path / "run", began=time.monotonic() - 55)
    events = list(session.run())
    assert isinstance(events[0], Warned) and "the preparation took 5" in events[0].message
    steps = [event for event in events if isinstance(event, StepDone)]
    assert steps[0].progress < 0.5 and steps[-1].progress > 0.9
    assert 0 < (steps[0].left_s or 0) < 5
    with pytest.raises(UserError, match=r"is finished .* such as `minutes=2`"):
        resume(tmp_path / "run")


@pytest.mark.usefixtures("cpu_clock")
@pytest.mark.parametrize("left_s, share", [(1000.0, 1), (0.0, 0.115)])
def test_the_verdict_takes_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_s: float, share: float
) -> None:
    session = start(config(tmp_path / "a.txt", {"minutes": 1}), tmp_path / "run")
    for event in session.trainer.run():
        if isinstance(event, StepDone) and event.step == 3:
            session.trainer.clock._since -= 60
    monkeypatch.setattr(type(session.trainer.budget), "left_s", lambda *_: left_s)
    monkeypatch.setattr(final, "TRIAL_STRIDE", 32)
    verdict = session.verdict()
    session.close()
    assert verdict.model is not None
    assert verdict.model.n_chars / session.data.val.n_chars == pytest.approx(share, rel=0.3)  # pyright: ignore
