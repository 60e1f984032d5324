"""Evaluations take a small share of the time, are never close to each other, and measure a fixed part."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.train import Budget, Evaluated, StepDone, Warned, eval_plan, resume, start
from glassgpt.train.clock import Elapsed
from glassgpt.train.ending import Ending
from glassgpt.train.eval_plan import TRAINING_SHARE, VERDICT_SHARE, EvalPlan
from helpers.tiny_run import tiny_config

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * i % 13} ducks and herons ashore.\n" for i in range(2000))


def config(path: Path, train: dict[str, Any]) -> RunConfig:
    path.write_text(TEXT)
    return tiny_config(path, train)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a split of this file's size, which is read whole otherwise."""
    monkeypatch.setattr("glassgpt.tasks.base.EVAL_TOKENS", 256)
    monkeypatch.setattr(eval_plan, "MIN_TOKENS", 1024)
    monkeypatch.setattr(eval_plan, "MAX_TOKENS", 2048)


@dataclass
class Simulated:
    """A run without a model: its evaluations and steps only take time."""

    steps: list[float]
    """Progress at each evaluation."""
    eval_s: float = 0.0
    verdict_s: float = 0.0
    late_s: float = 0.0
    n_steps: int = 0


def simulate(minutes: float, evals: int, n_tokens: int, token_s: float, wrong: float = 1.0) -> Simulated:
    """Run the trainer's loop on a clock of its own; a step has 1,024 tokens and takes three passes.

    wrong: factor between the time of an evaluation and its first estimate.
    """
    budget = Budget(seconds=60 * minutes)
    plan = EvalPlan(60 * minutes, evals, n_tokens)
    ending = Ending(plan)
    plan.token_s = token_s / wrong
    plan.choose_part(1024)
    now, step, run = 0.0, 0, Simulated([])
    while True:
        progress = budget.progress(step, Elapsed(0, now), ending.reserved_s)
        if step and plan.is_due(step, progress):
            plan.token_s, plan.eval_s = token_s, token_s * n_tokens / plan.stride
            now, plan.last_step = now + plan.eval_s, step
            run.eval_s += plan.eval_s
            run.steps.append(progress)
            plan.advance(budget.progress(step, Elapsed(0, now), ending.reserved_s))
        if progress >= 1 and step:
            break
        now, step = now + 3 * 1024 * token_s, step + 1
        ending.add_step(3 * 1024 * token_s)
    run.verdict_s, run.n_steps = plan.verdict_s(), step
    run.late_s = now + run.verdict_s + ending.exit_s - 60 * minutes
    return run


@pytest.mark.parametrize("minutes", [0.2, 1, 10, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n_tokens", [2_000, 100_000, 2_000_000])
@pytest.mark.parametrize("tokens_per_s", [1_000, 15_000, 1_000_000])
@pytest.mark.parametrize("wrong", [0.5, 1.0, 3.0])
def test_share_and_distance(minutes: float, n_tokens: int, tokens_per_s: int, wrong: float) -> None:
    """Whatever the text, the machine and the minutes."""
    run = simulate(minutes, 10, n_tokens, 1 / tokens_per_s, wrong)
    seconds = 60 * minutes
    smallest_s = min(n_tokens, 2 * eval_plan.MIN_TOKENS) / tokens_per_s  # one evaluation cannot take less
    assert run.steps[-1] == 1
    assert run.eval_s <= max(1.2 * max(1, wrong) * TRAINING_SHARE * seconds, (1 + wrong) * smallest_s)
    assert run.verdict_s <= max(1.3 * VERDICT_SHARE * seconds, 4 * smallest_s)
    assert len(run.steps) <= 11
    if smallest_s < 0.02 * seconds and wrong == 1:
        assert run.eval_s + run.verdict_s <= 0.12 * seconds
        assert run.late_s <= 0.01 * seconds + 3 * 1024 / tokens_per_s
        distances = [b - a for a, b in zip([0, *run.steps], run.steps, strict=False)]
        assert min(distances[:2]) > 0.03 and min(distances[2:]) > 0.07


def test_two_early_evaluations_of_a_run_by_the_clock() -> None:
    def first_three(n_evals: int, eval_s: float = 0.0) -> list[float]:
        plan = EvalPlan(60, n_evals, 100_000)
        plan.eval_s, found = eval_s, []
        for _ in range(3):
            found.append(plan.next_eval)
            plan.advance(plan.next_eval)
        return found

    assert first_three(10) == pytest.approx([0.05, 0.09, 0.2])
    assert first_three(20) == pytest.approx([0.05, 0.09, 0.15])
    assert first_three(4) == pytest.approx([0.225, 0.5, 0.75])
    assert first_three(10, TRAINING_SHARE * 60 * 0.3) == pytest.approx([0.05, 0.3, 0.6])  # slow ones


def test_grids_that_do_not_divide_the_run_end_without_a_pair() -> None:
    plan = EvalPlan(60, 10, 100_000)
    plan.eval_s = TRAINING_SHARE * 60 * 0.3  # a gap of 0.3
    points = [0.0]
    while points[-1] < 1:
        plan.advance(points[-1])
        points.append(plan.next_eval)
    assert points == pytest.approx([0, 0.3, 0.6, 1])


def test_a_run_of_steps_measures_the_same_part_on_any_machine() -> None:
    strides = set()
    for token_s in (1e-6, 1e-3):
        plan = EvalPlan(math.inf, 10, 2_000_000, n_steps=1000)
        plan.token_s = token_s
        plan.choose_part(1024)
        strides.add(plan.stride)
    assert strides == {round(2_000_000 / eval_plan.MIN_TOKENS)}


def test_the_part_is_recorded_and_stays(tmp_path: Path, small_parts: None) -> None:
    settings = config(tmp_path / "a.txt", {"steps": 12, "evals": 4})
    session = start(settings, tmp_path / "run")
    events = []
    for event in session.run():
        events.append(event)
        if isinstance(event, StepDone) and event.step == 7:
            session.trainer.request_stop()
    stride, n_all = session.trainer.eval_plan.stride, session.data.val.n_tokens
    assert stride == round(n_all / 1024) and stride > 5
    again = resume(tmp_path / "run", config(tmp_path / "a.txt", {"steps": 48, "evals": 2}))
    assert again.trainer.eval_plan.stride == stride
    events += list(again.run())
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert len({event.n_tokens for event in evaluated}) == 1
    assert evaluated[0].n_tokens == pytest.approx(n_all / stride, rel=0.25)


def test_the_verdict_measures_the_best_step_on_the_whole_split(tmp_path: Path, small_parts: None) -> None:
    session = start(config(tmp_path / "a.txt", {"steps": 12, "evals": 4}), tmp_path / "run")
    list(session.run())
    whole = session.data.measure(session.folder.model())  # pyright: ignore
    assert whole.n_chars == session.data.val.n_chars
    stored = json.loads((tmp_path / "run/verdict.json").read_text())
    assert stored["model"]["total_nats"] == pytest.approx(whole.total_nats, rel=1e-5)
    assert not any("to end on time" in note for note in stored["notes"])


def test_a_verdict_on_a_part_says_so(
    tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_plan, "VERDICT_S", 1e-6)
    session = start(config(tmp_path / "a.txt", {"steps": 4, "evals": 1}), tmp_path / "run")
    list(session.run())
    verdict = session.verdict()
    assert verdict.model is not None
    assert verdict.model.n_chars < session.data.val.n_chars / 5  # pyright: ignore
    assert any("to end on time" in note for note in verdict.notes)


@pytest.mark.usefixtures("cpu_clock")
def test_a_short_time_is_said_before_training(tmp_path: Path) -> None:
    settings = config(tmp_path / "a.txt", {"minutes": 0.1, "micro_batch_size": 256})
    session = start(settings, tmp_path / "run")
    events = list(session.run())
    assert isinstance(events[0], Warned) and "the time is short: about" in events[0].message
    assert any(isinstance(event, StepDone) for event in events)


def test_no_verdict_without_a_step(tmp_path: Path) -> None:
    session = start(config(tmp_path / "a.txt", {"steps": 4}), tmp_path / "run")
    with pytest.raises(UserError, match="no step was evaluated"):
        session.verdict()
    session.close()


def test_slow_samples_do_not_make_evaluations_rare() -> None:
    plan = EvalPlan(60, 10, 1_000)
    plan.token_s, plan.eval_s = 1e-5, 0.01
    sampled = []
    for progress in (0.1 * i for i in range(1, 11)):
        assert plan.gap == 0.1
        if plan.sample_is_due(progress):
            plan.add_sample(progress, seconds=0.5)  # 3 % of a minute are 1.8 s
            sampled.append(round(progress, 1))
    assert sampled == [0.1, 0.4, 0.7, 1.0]
