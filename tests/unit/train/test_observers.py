"""Observers: the places of a training step, their answers, and errors in one of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import read_tensors, steps
from glassgpt.config import RunConfig
from glassgpt.models import Model
from glassgpt.train import Evaluated, Event, Observer, Saved, StepDone, Warned, resume, start


def config(folder: Path, **train: Any) -> RunConfig:
    path = folder / "text.txt"
    path.write_text("".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(150)))
    return RunConfig.model_validate(
        {
            "data": {"sources": [str(path)]},
            "model": {"size": "nano", "n_layer": 1, "block_size": 32},
            "train": {"steps": 4, "evals": 2, "sample_tokens": 0, "micro_batch_size": 4} | train,
        }
    )


class Diary(Observer):
    """Writes down where it is called, with what it can see there."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.moved: list[bool] = []
        self.closed = 0
        self._before = torch.empty(0)

    def on_gradients(self, step: int, model: Model) -> None:
        self.calls.append(("gradients", step))
        assert all(p.grad is not None for p in model.parameters())
        self._before = model.lm_head.weight.detach().clone()

    def on_update(self, step: int, model: Model) -> None:
        self.calls.append(("update", step))
        assert all(p.grad is None for p in model.parameters())
        self.moved.append(not torch.equal(model.lm_head.weight, self._before))

    def on_evaluation(self, event: Evaluated, model: Model) -> None:
        self.calls.append(("evaluation", event.step))
        assert model.training

    def on_save(self, event: Saved) -> None:
        self.calls.append(("save", event.step))
        assert event.path.is_dir()

    def on_event(self, event: Event) -> None:
        self.calls.append(event)

    def close(self) -> None:
        self.closed += 1


def test_each_place_is_called_in_its_order(tmp_path: Path) -> None:
    diary = Diary()
    session = start(config(tmp_path), tmp_path / "run", observers=[diary])
    told = list(session.run())
    assert [call for call in diary.calls if isinstance(call, Event)] == told
    names = [call.kind if isinstance(call, Event) else call for call in diary.calls]
    names = [
        name for name in names if name not in ("saved", ("save", 2), ("save", 4))
    ]  # when the disk is done
    step = [[("gradients", n), ("update", n), "step"] for n in range(1, 5)]
    assert names == [
        *step[0],
        *step[1],
        "eval",
        ("evaluation", 2),
        *step[2],
        *step[3],
        "eval",
        ("evaluation", 4),
    ]
    assert [call for call in diary.calls if call in (("save", 2), ("save", 4))] == [("save", 2), ("save", 4)]
    assert diary.moved == [True] * 4 and diary.closed == 1


def test_a_resumed_run_is_observed(tmp_path: Path) -> None:
    list(start(config(tmp_path), tmp_path / "run").run())
    diary = Diary()
    list(resume(tmp_path / "run", config(tmp_path, steps=6), observers=[diary]).run())
    seen = [call for call in diary.calls if isinstance(call, tuple) and call[0] == "gradients"]
    assert seen == [("gradients", 5), ("gradients", 6)]


def test_looking_changes_no_bit(tmp_path: Path) -> None:
    for name, observers in (("alone", []), ("seen", [Diary()])):
        list(start(config(tmp_path), tmp_path / name, observers=observers).run())
    alone, seen = (read_tensors(steps(tmp_path / n / "checkpoints")[0], "model") for n in ("alone", "seen"))
    assert all(torch.equal(alone[name], seen[name]) for name in alone)


def test_a_gradient_may_be_changed(tmp_path: Path) -> None:
    class Freeze(Observer):
        def on_gradients(self, step: int, model: Model) -> None:
            for p in model.parameters():
                p.grad = None

    session = start(config(tmp_path), tmp_path / "run", observers=[Freeze()])
    before = [p.detach().clone() for p in session.trainer.model.parameters()]
    list(session.run())
    after = list(session.trainer.model.parameters())
    assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))


def test_answers_are_yielded_at_once_and_shown_to_all(tmp_path: Path) -> None:
    class Talker(Observer):
        def on_gradients(self, step: int, model: Model) -> Iterator[Event]:
            if step == 2:
                yield Warned("before step 2")

        def on_event(self, event: Event) -> list[Event]:
            return [Warned(f"heard: {event.message}")] if isinstance(event, Warned) else []

    diary = Diary()
    session = start(config(tmp_path), tmp_path / "run", observers=[Talker(), diary])
    told = list(session.run())
    i = told.index(Warned("before step 2"))
    assert told[i + 1] == Warned("heard: before step 2")
    assert isinstance(told[i + 2], StepDone) and told[i + 2].step == 2
    assert Warned("before step 2") in diary.calls and Warned("heard: before step 2") not in diary.calls


@pytest.mark.parametrize("place", ["on_gradients", "on_update", "on_evaluation", "on_save", "on_event"])
def test_a_disk_error_in_an_observer_is_one_warning(place: str, tmp_path: Path) -> None:
    class Broken(Observer):
        pass

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    broken, diary = Broken(), Diary()
    setattr(broken, place, fail)
    told = list(start(config(tmp_path), tmp_path / "run", observers=[broken, diary]).run())
    warned = [event.message for event in told if isinstance(event, Warned)]
    assert len(warned) == 1 and "Broken" in warned[0] and "No space left" in warned[0]
    assert ("update", 4) in diary.calls and diary.closed == 1


def test_another_error_ends_the_run_and_closes_all(tmp_path: Path) -> None:
    class Wrong(Observer):
        def on_update(self, step: int, model: Model) -> None:
            raise KeyError("a bug")

    diary = Diary()
    with pytest.raises(KeyError, match="a bug"):
        list(start(config(tmp_path), tmp_path / "run", observers=[Wrong(), diary]).run())
    assert diary.closed == 1


def test_an_event_with_figures_is_in_metrics(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Norm(Event):
        kind = "norm"
        step: int
        norm: float

        def figures(self) -> dict[str, float]:
            return {"train/head_norm": self.norm}

    class Watch(Observer):
        def on_gradients(self, step: int, model: Model) -> Iterator[Event]:
            yield Norm(step, float(model.lm_head.weight.grad.norm()))

    session = start(config(tmp_path), tmp_path / "run", observers=[Watch()])
    list(session.run())
    rows = [row for row in session.folder.metrics() if row["event"] == "norm"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and all(row["norm"] > 0 for row in rows)
