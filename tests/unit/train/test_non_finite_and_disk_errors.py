"""What may go wrong while a run trains: gradients that are not finite, a full disk, another machine."""

from __future__ import annotations

import errno
import math
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import read_state, read_tensors, steps, verify_run
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.train import Event, Saved, Session, StepDone, Warned, resume, start
from glassgpt.train import learner as learner_module
from glassgpt.train import metrics as metrics_module
from glassgpt.train import saver as saver_module
from glassgpt.train import trainer as trainer_module
from glassgpt.train.trainer import Trainer
from helpers.tiny_run import tiny_config

TEXT = "".join(f"Part {i}: {i * 7 % 31} geese cross the river, {i * 5 % 13} come back.\n" for i in range(300))
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def config(path: Path, train: dict[str, Any]) -> RunConfig:
    return tiny_config(path, {"micro_batch_size": 4} | train)


def finished(session: Session) -> list[Any]:
    return list(session.run())


def poison(monkeypatch: pytest.MonkeyPatch, *bad: int) -> list[int]:
    """Make the gradients of these steps NaN; returns the steps that were tried, as they are."""
    step, clip, tried = Trainer.train_step, learner_module.clip_gradients, []

    def train_step(self: Trainer) -> Iterator[Event]:
        tried.append(self.step)
        return step(self)

    def poisoned(params: Iterable[torch.Tensor], limit: float) -> float:
        params = list(params)
        if tried[-1] in bad:
            assert params[0].grad is not None
            params[0].grad.fill_(math.nan)
        return clip(params, limit)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    monkeypatch.setattr(learner_module, "clip_gradients", poisoned)
    return tried


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return read_tensors(steps(folder / "checkpoints")[0], "model")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_bad_gradient_stops_the_run_before_the_weights_take_it(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 5)
    session = start(config(text_file, {"steps": 8, "evals": 1, "grad_accum_steps": 2}), tmp_path / "run")
    with pytest.raises(UserError, match=r"nan at step 5 .*batches 10 to 11 of seed 1337.*`on_nan` skip"):
        finished(session)
    assert session.trainer.step == 5
    assert all(p.isfinite().all() for p in session.trainer.model.parameters())


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_bad_step_is_left_out(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """The weights are those of a run in which that step's update does not happen."""
    tried = poison(monkeypatch, 5)
    train = {"steps": 10, "evals": 5, "on_nan": policy}
    session = start(config(text_file, train), tmp_path / "run")
    warned = [event.message for event in finished(session) if isinstance(event, Warned)]
    assert any("nan at step 5" in message for message in warned)
    assert session.trainer.step == 10 and session.trainer.skipped_steps == [5]
    assert all(p.isfinite().all() for p in session.trainer.model.parameters())
    if policy == "rollback":
        assert "continues from step 4" in warned[0] and tried.count(4) == 2 and tried.count(5) == 2
    else:
        assert tried.count(5) == 1
    assert read_state(steps(tmp_path / "run/checkpoints")[0])["skipped_steps"] == [5]


def test_both_ways_around_a_bad_step_lead_to_the_same_weights(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 5)
    for policy in ("skip", "rollback"):
        finished(start(config(text_file, {"steps": 9, "evals": 4, "on_nan": policy}), tmp_path / policy))
    assert same(weights_of(tmp_path / "skip"), weights_of(tmp_path / "rollback"))


def test_a_resumed_run_leaves_the_same_steps_out(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 3, 6)
    settings = config(text_file, {"steps": 8, "evals": 2, "on_nan": "skip"})
    finished(start(settings, tmp_path / "whole"))
    session = start(settings, tmp_path / "broken")
    for event in session.run():
        if isinstance(event, StepDone) and event.step == 5:
            session.trainer.request_stop()
    session = resume(tmp_path / "broken")
    assert session.trainer.skipped_steps == [3]
    finished(session)
    assert same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "broken"))


def test_nothing_but_bad_steps_end_the_run(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, *range(2, 40))
    session = start(config(text_file, {"steps": 40, "evals": 1, "on_nan": "skip"}), tmp_path / "run")
    with pytest.raises(UserError, match="nan at step 12"):
        finished(session)


def full_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(saver_module.shutil, "disk_usage", lambda _: Usage(10**9, 0, free))


def test_a_full_disk_is_said_with_numbers_and_training_goes_on(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start(config(text_file, {"steps": 12, "evals": 4}), tmp_path / "run")
    events, real = [], shutil.disk_usage
    for event in session.run():
        events.append(event)
        if isinstance(event, StepDone) and event.step == 4:
            session.trainer.saver.wait()
            full_disk(monkeypatch, 5_000)
        if isinstance(event, StepDone) and event.step == 10:
            monkeypatch.setattr(saver_module.shutil, "disk_usage", real)
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert any("0 MB free" in message and "Training continues" in message for message in warned)
    assert session.trainer.step == 12
    assert steps(tmp_path / "run/checkpoints")[0].name == "step-0000000012"
    assert not list((tmp_path / "run/checkpoints").glob(".writing*"))


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_a_run_does_not_end_well_without_its_last_step(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    full_disk(monkeypatch, 5_000)
    session = start(config(text_file, {"steps": 6, "evals": 2, "on_save_error": policy}), tmp_path / "run")
    with pytest.raises(UserError, match=r"a checkpoint needs \d+ MB"):
        finished(session)
    assert (session.trainer.step < 6) == (policy == "stop")
    assert not session.folder.verdict_file.exists()
    assert not session.folder.path.exists()  # nothing in it was of any use


def test_training_goes_on_while_a_step_is_written(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk waits until five more steps are done; what it gets are the weights of the step's own time."""
    right, gate = saver_module.save_step, threading.Event()

    def slow(folder: Path, step: int, tensors: Any, state: Any) -> Path:
        if step == 4:
            assert gate.wait(60)
        return right(folder, step, tensors, state)

    monkeypatch.setattr(saver_module, "save_step", slow)
    session = start(config(text_file, {"steps": 12, "evals": 3}), tmp_path / "run")
    order: list[Any] = []
    then: dict[str, torch.Tensor] = {}
    saved: dict[str, torch.Tensor] = {}
    for event in session.run():
        if isinstance(event, StepDone):
            order.append(event.step)
            if event.step == 4:
                then = {name: p.detach().clone() for name, p in session.trainer.model.named_parameters()}
            if event.step == 8:
                assert not list((tmp_path / "run/checkpoints").glob("step-*"))
                gate.set()
        if isinstance(event, Saved):
            order.append(f"saved {event.step}")
            saved = read_tensors(event.path, "model") if event.step == 4 else saved
    assert order.index("saved 4") > order.index(8)
    assert same(saved, then)
    assert order[-1] == "saved 12"


def test_another_machine_is_announced(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start(config(text_file, {"steps": 6, "evals": 2}), tmp_path / "run")
    for event in session.run():
        if isinstance(event, StepDone) and event.step == 4:
            session.trainer.request_stop()
    assert resume(tmp_path / "run").notes == ()
    monkeypatch.setattr(trainer_module, "environment", lambda *_: {"torch": "9.9"})
    (note,) = resume(tmp_path / "run").notes
    assert f"torch {torch.__version__} → 9.9" in note and "not bit for bit" in note


def test_a_compiled_model_is_announced(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _: None)  # it takes a minute
    finished(start(config(text_file, {"steps": 2}), tmp_path / "run"))
    (note,) = resume(tmp_path / "run", config(text_file, {"steps": 4, "compile": True})).notes
    assert "compiled no → yes" in note and "not bit for bit" in note


def test_what_a_kill_left_is_cleared_up_by_resuming(text_file: Path, tmp_path: Path) -> None:
    """Also of a step that nobody will write again: its space would never be free."""
    run = start(config(text_file, {"steps": 2}), tmp_path / "run")
    finished(run)
    for kind in ("writing", "removing"):
        (run.folder.checkpoints / f".{kind}-step-0000000999").mkdir()
        (run.folder.checkpoints / f".{kind}-step-0000000999" / "model.safetensors").write_bytes(b"half")
    resume(tmp_path / "run", config(text_file, {"steps": 4})).close()
    assert not list(run.folder.checkpoints.glob(".*"))


@pytest.mark.parametrize("broken", ["write_pointer", "prune"])
def test_a_disk_that_fails_after_the_step_is_a_failed_save(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """The hint and the removal of older steps follow --on-save-error, too."""

    right, n = getattr(saver_module, broken), iter(range(100))

    def failing(*arguments: Any) -> Any:
        if next(n) == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return right(*arguments)

    monkeypatch.setattr(saver_module, broken, failing)
    session = start(config(text_file, {"steps": 6, "evals": 2}), tmp_path / "run")
    warned = [event.message for event in session.run() if isinstance(event, Warned)]
    assert any("No space left" in message and "Training continues" in message for message in warned)
    assert steps(tmp_path / "run/checkpoints")[0].name == "step-0000000006"
    monkeypatch.undo()
    assert verify_run(tmp_path / "run").code == 0


def test_figures_that_cannot_be_written_do_not_end_a_run(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, n = metrics_module.JsonLines.on_event, iter(range(100))

    def failing(self: Any, event: Event) -> None:
        if next(n) in (3, 4, 5):
            raise OSError(errno.EIO, "Input/output error")
        log(self, event)

    monkeypatch.setattr(metrics_module.JsonLines, "on_event", failing)
    session = start(config(text_file, {"steps": 10}), tmp_path / "run")
    told = [event.message for event in session.run() if isinstance(event, Warned)]
    assert (
        len(told) == 1
        and "JsonLines" in told[0]
        and "output is incomplete" in told[0]
        and "Input/output error" in told[0]
    )
    assert session.trainer.step == 10 and len(session.folder.metrics()) >= 7


def test_a_sample_that_cannot_be_written_does_not_end_a_run(text_file: Path, tmp_path: Path) -> None:
    session = start(config(text_file, {"steps": 4, "sample_tokens": 3}), tmp_path / "run")
    session.folder.samples.write_text("a file where the folder should be")
    told = [event.message for event in session.run() if isinstance(event, Warned)]
    assert len(told) == 1 and "SampleFiles" in told[0] and "output is incomplete" in told[0]


def test_what_ended_before_its_first_step_is_not_called_damaged(text_file: Path, tmp_path: Path) -> None:
    killed = start(config(text_file, {"steps": 4}), tmp_path / "run")
    assert killed._lock is not None
    killed._lock.release()  # as the operating system does
    with pytest.raises(UserError, match="ended before its first step was saved"):
        resume(tmp_path / "run")
    (tmp_path / "run/baselines.json").unlink()
    with pytest.raises(UserError, match="ended before its first step was saved"):
        resume(tmp_path / "run")
    health = verify_run(tmp_path / "run")
    assert health.code == 2 and "has no steps yet" in health.sentence


def test_a_best_step_that_is_gone_is_told(text_file: Path, tmp_path: Path) -> None:
    session = start(config(text_file, {"steps": 8, "evals": 2}), tmp_path / "run")
    for event in session.run():
        if isinstance(event, StepDone) and event.step == 6:
            session.trainer.request_stop()
    checkpoints = session.folder.checkpoints
    assert [step.name for step in steps(checkpoints)] == ["step-0000000006", "step-0000000004"]
    shutil.rmtree(checkpoints / "step-0000000004")
    with pytest.warns(UserWarning, match="step-0000000004, is gone"):
        assert session.folder.best_checkpoint().name == "step-0000000006"
