"""Several seeds: their folders, one choice for all, other settings in the way, and the spread."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from glassgpt.checkpoint import Run
from glassgpt.cli.view.seeds import print_plan_of_seeds
from glassgpt.config import Layer
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.train import Observer, Session, plan_seeds, start
from helpers.commands import run as command

TEXT = "".join(f"{i} geese and {i * 7 % 31} swans.\n" for i in range(300))
SETTINGS = {
    "model": {"size": "nano", "n_layer": 1, "block_size": 16},
    "train": {"steps": 6, "micro_batch_size": 2, "evals": 2, "sample_tokens": 5},
}
WORDS = "--size nano --n-layer 1 --block-size 16 --steps 6 --batch-size 2 --evals 2 --sample-tokens 5".split()


class StopAt(Observer):
    """Stops a training after a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step, self.session = step, None

    session: Session | None

    def on_update(self, step: int, model: Model) -> None:
        if step == self.step and self.session is not None:
            self.session.trainer.stop.interrupt()


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Layer]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text(TEXT)
    return [Layer("option", {"data": {"sources": ["notes.txt"]}, **SETTINGS})]


def test_folders_and_seeds(given: list[Layer]) -> None:
    found = [(run.seed, str(run.path), run.state) for run in plan_seeds(given, 2)]
    assert found == [(1, "runs/notes-seed1", "new"), (2, "runs/notes-seed2", "new")]
    named = plan_seeds([*given, Layer("option", {"train": {"seed": 7}})], 2, Path("out/a"))
    assert [(run.seed, str(run.path)) for run in named] == [(7, "out/a-seed7"), (8, "out/a-seed8")]


@pytest.mark.parametrize("n", [-1, 0, 1, 101])
def test_numbers_that_cannot_be_used(given: list[Layer], n: int) -> None:
    with pytest.raises(UserError, match="`seeds`: got"):
        plan_seeds(given, n)


def test_standard_input_is_read_once(given: list[Layer]) -> None:
    with pytest.raises(UserError, match="only once"):
        plan_seeds([Layer("option", {"data": {"sources": ["-"]}})], 2)


def test_the_choice_is_made_once_and_kept(given: list[Layer], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def choose(*arguments: object, **_: object) -> SimpleNamespace:
        calls.append(arguments)
        return SimpleNamespace(decision=SimpleNamespace(layer=Layer("autopilot", {"optim": {"lr": 0.0125}})))

    monkeypatch.setattr("glassgpt.train.seeds.plan", choose)
    first, second = plan_seeds(given, 2, autopilot=True)
    assert first.layers[0] == second.layers[0] and len(calls) == 1
    for _ in start(first.layers, first.path).run():
        pass
    again = plan_seeds(given, 2, autopilot=True)
    assert len(calls) == 1 and [run.state for run in again] == ["done", "new"]
    assert again[1].layers[0] == Layer("autopilot", {"optim": {"lr": 0.0125}})


def test_a_run_with_other_settings_is_in_the_way(given: list[Layer]) -> None:
    for _ in start(plan_seeds(given, 2)[0].layers, "runs/notes-seed1").run():
        pass
    other = [*given, Layer("option", {"optim": {"lr": 0.5}})]
    with pytest.raises(UserError, match=r"notes-seed1 is a run with other settings \(`lr`\)"):
        plan_seeds(other, 2)


def test_the_command_goes_on_and_ends_with_the_spread(given: list[Layer], tmp_path: Path) -> None:
    plan = plan_seeds(given, 2)
    for run, stop in ((plan[0], StopAt(99)), (plan[1], StopAt(3))):
        stop.session = start(run.layers, run.path, observers=[stop])
        assert all(event is not None for event in stop.session.run())
    assert [run.state for run in plan] == ["done", "stopped"]
    before = (tmp_path / "runs" / "notes-seed1" / "verdict.json").read_bytes()

    told = command(tmp_path, "train", "notes.txt", *WORDS, "--seeds", "2", "--no-autopilot", "--json")
    events = [json.loads(line) for line in told.splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"][-1] == 6
    assert len([event for event in events if event["event"] == "verdict"]) == 1  # of the second run only
    assert (tmp_path / "runs" / "notes-seed1" / "verdict.json").read_bytes() == before
    a, b = (Run(run.path).summary().nats_per_char for run in plan)
    assert a is not None and b is not None
    last = events[-1]
    assert last["event"] == "seeds" and last["loss"]["n"] == 2
    assert last["loss"]["mean"] == pytest.approx((a + b) / 2)
    assert last["loss"]["sd"] == pytest.approx(abs(a - b) / math.sqrt(2))

    said = command(tmp_path, "train", "notes.txt", *WORDS, "--seeds", "2", "--no-autopilot")
    assert "2 done already" in said and "held-out loss of 2 seeds" in said and "step 6" not in said


def test_the_total_time_is_said_first(given: list[Layer], capsys: pytest.CaptureFixture[str]) -> None:
    timed = {"data": {"sources": ["notes.txt"]}, "train": {"minutes": 1.5}}
    print_plan_of_seeds(plan_seeds([Layer("option", timed)], 4))
    assert "4 runs, seeds 1, 2, 3, 4: 1.5 minutes each, 6 minutes in total" in capsys.readouterr().out


def test_options_that_exclude_each_other(given: list[Layer], tmp_path: Path) -> None:
    assert "--resume out" in command(tmp_path, "train", "--seeds", "2", "--resume", "runs/notes", code=2)
