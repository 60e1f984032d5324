"""The loop: what it tells, when it evaluates, and that a resumed run is the unbroken one."""

from __future__ import annotations

import json
import math
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import Run, acquire_lock, load_run, read_tensors, steps
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.tasks import LanguageData
from glassgpt.train import (
    Budget,
    Evaluated,
    Sampled,
    Saved,
    Session,
    StepDone,
    Warned,
    learner,
    resume,
    start,
)
from glassgpt.train.clock import Elapsed
from helpers.material import material
from helpers.tiny_run import tiny_config

TEXT = "".join(
    f"Chapter {i}: in which {i * 7 % 31} geese cross the river and {i * 5 % 13} come back.\n"
    for i in range(300)
)


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def config(path: Path, train: dict[str, Any], **tables: dict[str, Any]) -> RunConfig:
    return tiny_config(path, {"evals": 2, "sample_tokens": 8, "micro_batch_size": 4} | train, **tables)


def finished(session: Session) -> list[Any]:
    return list(session.run())


def test_a_run_ends_when_its_text_is_learned_by_heart(tmp_path: Path) -> None:
    letters = random.Random(1)
    (tmp_path / "noise.txt").write_text("".join(letters.choice("abcdefgh") for _ in range(3_000)))
    settings = {"steps": 300, "evals": 15, "patience": 2, "sample_tokens": 0}
    session = start(config(tmp_path / "noise.txt", settings), tmp_path / "run")
    events = finished(session)
    losses = [e.nats_per_char for e in events if isinstance(e, Evaluated)]
    assert 3 <= len(losses) < 15 and min(losses) < losses[-2] and min(losses) < losses[-1]
    assert [e.message for e in events if isinstance(e, Warned)][-1].startswith("2 evaluations in a row")
    assert session.verdict().model is not None
    with pytest.raises(UserError, match=r"ended early .* its last 2 evaluations .* `patience` 0"):
        resume(tmp_path / "run", config(tmp_path / "noise.txt", settings | {"steps": 400}))
    session = resume(tmp_path / "run", config(tmp_path / "noise.txt", settings | {"patience": 0}))
    assert finished(session)[-1] and session.trainer.step == 300


def test_events_of_a_run(text_file: Path, tmp_path: Path) -> None:
    session = start(config(text_file, {"steps": 20, "evals": 4}), tmp_path / "run")
    events = finished(session)
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(1, 21))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [5, 10, 15, 20]
    assert len([e for e in events if isinstance(e, Sampled)]) == 4
    done = [e for e in events if isinstance(e, StepDone)]
    assert done[0].loss == pytest.approx(math.log(session.trainer.model.n_vocab), abs=0.01)
    assert done[-1].loss < done[0].loss - 1
    assert done[-1].progress == 1 and done[0].tokens == 4 * 32
    rows = Run.open(tmp_path / "run").metrics()
    assert len(rows) == 24
    assert json.loads((tmp_path / "run/verdict.json").read_text())["model"]


def test_the_evaluation_is_the_whole_split_whatever_the_batch(text_file: Path, tmp_path: Path) -> None:
    session = start(config(text_file, {"steps": 3}), tmp_path / "run")
    finished(session)
    trainer = session.trainer
    assert isinstance(trainer.task, LanguageData)
    data = trainer.task.data
    val, train = data.val.ids.astype("int64"), data.train.ids.astype("int64")
    tokens = torch.tensor([train[-1], *val])
    nats = 0.0
    with torch.no_grad():
        for i in range(0, len(val), 32):  # one window at a time: the slow way
            window = tokens[i : i + 33]
            logits = trainer.model.eval()(window[None, :-1])[0]
            nats += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    assert trainer.learner.measure(trainer.task).nats == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "optimizer"),
    [(family, "muon") for family in ("gpt", "bigram", "encoder", "seq2seq", "captioner", "classifier")]
    + [("gpt", "adamw"), ("seq2seq", "adamw"), ("speedrun", "muon")],
)
def test_resumed_equals_uninterrupted_bit_for_bit(
    text_file: Path, tmp_path: Path, family: str, optimizer: str
) -> None:
    """Stopped three times, with dropout and accumulation, at steps that are no evaluation."""
    model = {"family": "encoder" if family == "classifier" else family, "dropout": 0.1}
    if family == "speedrun":
        family, model = "gpt", {"preset": "speedrun", "ngram_rows": 512, "dropout": 0.1}
    settings = config(
        text_file if family in ("gpt", "bigram", "encoder") else material(family, tmp_path),
        {"steps": 14, "grad_accum_steps": 2},
        model=model | {"image_size": 16, "patch_size": 8, "block_size": 32},
        tokenizer={"kind": "char"},
        optim={"optimizer": optimizer},
    )
    finished(start(settings, tmp_path / "whole"))
    session = start(settings, tmp_path / "broken")
    for stop_at in (4, 5, 9, None):
        for event in session.run():
            if isinstance(event, StepDone) and event.step == stop_at:
                session.trainer.request_stop()
        if stop_at:
            assert not (tmp_path / "broken/verdict.json").exists()
            session = resume(tmp_path / "broken")
    newest = [steps(tmp_path / name / "checkpoints")[0] for name in ("whole", "broken")]
    assert newest[0].name == newest[1].name == "step-0000000014"
    for stem in ("model", "optimizer"):
        whole, broken = (read_tensors(step, stem) for step in newest)
        assert whole.keys() == broken.keys()
        for name in whole:
            assert torch.equal(whole[name], broken[name]), name


def test_a_finished_run_can_be_made_longer(text_file: Path, tmp_path: Path) -> None:
    finished(start(config(text_file, {"steps": 6}), tmp_path / "run"))
    events = finished(resume(tmp_path / "run", config(text_file, {"steps": 12, "evals": 4})))
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(7, 13))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [9, 12]


def test_accumulation_is_a_larger_batch(text_file: Path, tmp_path: Path) -> None:
    weights = []
    for name, shape in (("a", (8, 1)), ("b", (2, 4))):
        B, n = shape
        session = start(
            config(text_file, {"steps": 3, "micro_batch_size": B, "grad_accum_steps": n}), tmp_path / name
        )
        finished(session)
        weights.append({k: p.detach() for k, p in session.trainer.model.named_parameters()})
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], atol=1e-4, rtol=1e-3)


def test_a_batch_in_parts_is_the_same_batch(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU a large batch is computed part by part; the gradient is that of the whole."""
    gradients, sizes = [], []
    for name, limit in (("whole", 1 << 20), ("parts", 3 * 32)):
        monkeypatch.setattr(learner, "CHUNK_TOKENS", limit)
        session = start(config(text_file, {"steps": 3, "micro_batch_size": 8}), tmp_path / name)
        trainer = session.trainer
        trainer.learner.objective.register_forward_pre_hook(
            lambda _, given: sizes.append(len(given[0].tokens))
        )
        for p in trainer.model.parameters():  # from zero nothing would show
            torch.nn.init.normal_(p, std=0.1, generator=torch.Generator().manual_seed(p.numel()))
        trainer.learner.backward([trainer.task.train_batch(0, 8)])
        gradients.append({k: p.grad for k, p in trainer.model.named_parameters()})
        session.close()
    assert sizes == [8, 2, 3, 3]
    for name, whole in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], whole)


@pytest.mark.usefixtures("cpu_clock")
def test_minutes_end_on_time(text_file: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    session = start(config(text_file, {"minutes": 0.05}), tmp_path / "run")
    events = finished(session)
    assert 1.5 < time.monotonic() - began < 4.5  # 3 s were given
    assert isinstance(events[-1], Saved | Sampled) and any(isinstance(e, Evaluated) for e in events)


def test_tokens_are_read_in_whole_steps(text_file: Path, tmp_path: Path) -> None:
    """Full batches of full blocks: a run of tokens reads at least as many, and less than a step more."""
    settings = config(text_file, {"tokens": 1_000, "micro_batch_size": 4, "grad_accum_steps": 2})
    events = finished(start(settings, tmp_path / "run"))
    read = sum(event.tokens for event in events if isinstance(event, StepDone))
    assert 1_000 <= read < 1_000 + settings.step_tokens
    longer = settings.model_copy(update={"train": settings.train.model_copy(update={"tokens": 1_500})})
    more = finished(resume(tmp_path / "run", longer))
    assert 1_500 <= read + sum(event.tokens for event in more if isinstance(event, StepDone)) < 1_756


def test_the_best_weights_are_the_ones_that_are_used(text_file: Path, tmp_path: Path) -> None:
    """An absurd learning rate at the end of the schedule makes the last weights worse than earlier ones."""
    session = start(config(text_file, {"steps": 24, "evals": 8}, optim={"final_lr": 1.0}), tmp_path / "run")
    evals = []
    for event in session.run():
        if isinstance(event, Evaluated):
            evals.append(event.nats_per_char)
        if isinstance(event, StepDone) and event.step >= 15:
            with torch.no_grad():
                session.trainer.model.get_parameter("lm_head.weight").mul_(1.5)
    assert evals[-1] > min(evals)
    model, _ = load_run(tmp_path / "run")
    session.trainer.model.load_state_dict(model.state_dict())
    nats = session.trainer.learner.measure(session.data).nats / session.data.val.n_chars
    assert nats == pytest.approx(min(evals), rel=1e-4)
    assert session.trainer.best == min(evals)


def test_a_gradient_that_is_no_number_stops_the_run_before_it_does_harm(
    text_file: Path, tmp_path: Path
) -> None:
    session = start(config(text_file, {"steps": 5}), tmp_path / "run")
    before = session.trainer.model.get_parameter("wte.weight").detach().clone()
    with torch.no_grad():
        session.trainer.model.get_parameter("lm_head.weight")[0, 0] = math.nan
    with pytest.raises(UserError, match="Lower `lr`"):
        finished(session)
    assert torch.equal(session.trainer.model.get_parameter("wte.weight"), before)


def test_one_writer_at_a_time(text_file: Path, tmp_path: Path) -> None:
    session = start(config(text_file, {"steps": 3}), tmp_path / "run")
    running: Any = session.run()
    next(running)
    with pytest.raises(UserError, match=rf"being trained by process {os.getpid()} on .+ since 20"):
        resume(tmp_path / "run")
    with pytest.raises(UserError, match="being trained by"):
        start(config(text_file, {"steps": 3}), tmp_path / "run")
    running.close()
    assert session._lock is not None and not session._lock.is_locked
    assert not (tmp_path / "run").exists()  # it had no step
    acquire_lock(tmp_path / "run").release()


def test_progress_keeps_time_for_what_follows() -> None:
    assert Budget(seconds=100).progress(0, Elapsed(30, 50), reserved_s=20) == 1
    assert Budget(steps=10).progress(10, Elapsed()) == 1
