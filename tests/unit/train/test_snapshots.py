"""Snapshots of the weights while a run learns."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import glassgpt as gg
from glassgpt.checkpoint import snapshot_steps, verify_run
from glassgpt.errors import UserError
from glassgpt.train import Observer, plan, resume, start
from glassgpt.train.snapshots import least_needed, snapshots_layer

TEXT = "".join(f"The moon sees {i * 7 % 31} boats.\n" for i in range(300))


class Remember(Observer):
    """Keeps the weights after each step."""

    def __init__(self) -> None:
        self.weights = {}

    def on_update(self, step, model) -> None:
        self.weights[step] = {name: p.detach().clone() for name, p in model.named_parameters()}


def config(folder: Path, **train: object) -> gg.RunConfig:
    (folder / "a.txt").write_text(TEXT)
    train = {"steps": 40, "evals": 2, "device": "cpu", "sample_tokens": 0, "snapshots": 8, **train}
    return gg.RunConfig.model_validate(
        {"data": {"sources": [str(folder / "a.txt")]}, "model": {"size": "nano"}, "train": train}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[gg.Run, Remember]:
    folder, seen = tmp_path_factory.mktemp("snapshots"), Remember()
    for _ in start(config(folder), out=folder / "run", observers=[seen]).run():
        pass
    return gg.Run(folder / "run"), seen


def test_the_first_the_last_and_some_between_are_kept(trained: tuple[gg.Run, Remember]) -> None:
    steps = snapshot_steps(trained[0])
    assert len(steps) == 8 and steps[0] == 0 and steps[-1] == 40
    ratios = [(b + 1) / (a + 1) for a, b in itertools.pairwise(steps)]
    assert max(ratios) < 3


def test_a_snapshot_has_the_weights_of_its_step(trained: tuple[gg.Run, Remember]) -> None:
    run, seen = trained
    for step in snapshot_steps(run)[1:]:
        model = run.model(snapshot=step)
        for name, p in model.named_parameters():
            assert torch.equal(p, seen.weights[step][name].to(torch.bfloat16).float()), (step, name)
    first, last = (run.model(snapshot=step)(torch.tensor([[1, 2, 3]])) for step in (0, 40))
    assert not torch.equal(first, last)


def test_the_weights_are_those_of_a_run_without_snapshots(
    trained: tuple[gg.Run, Remember], tmp_path: Path
) -> None:
    for _ in start(config(tmp_path, snapshots=0), out=tmp_path / "run").run():
        pass
    assert not (tmp_path / "run" / "snapshots").exists()
    theirs = dict(gg.Run(tmp_path / "run").model().named_parameters())
    assert all(torch.equal(p, theirs[name]) for name, p in trained[0].model().named_parameters())


def test_a_resumed_run_goes_on(tmp_path: Path) -> None:
    session = start(config(tmp_path, steps=20), out=tmp_path / "run")
    for _ in session.run():
        pass
    (tmp_path / "run" / "snapshots" / "step-000099.safetensors").write_bytes(b"of a part that was lost")
    partial = tmp_path / "run" / "snapshots" / ".step-000007.safetensors.writing"
    partial.write_bytes(b"of a process that was killed")
    for _ in resume(tmp_path / "run", config(tmp_path, steps=40)).run():
        pass
    steps = snapshot_steps(gg.Run(tmp_path / "run"))
    assert steps[0] == 0 and steps[-1] == 40 and len(steps) == 8 and not partial.exists()


def test_a_missing_or_damaged_snapshot_is_named(trained: tuple[gg.Run, Remember]) -> None:
    run, _ = trained
    with pytest.raises(UserError, match=r"no snapshot of step 7777\. Snapshots: 0, "):
        run.model(snapshot=7777)
    file = run.snapshots / "step-000040.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match="step-000040"):
            run.model(snapshot=40)
    finally:
        file.write_bytes(whole)


def test_verify_finds_one_changed_number(trained: tuple[gg.Run, Remember]) -> None:
    run, _ = trained
    assert not verify_run(run.path).problems
    file = run.snapshots / "step-000040.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        (problem,) = verify_run(run.path).problems
        assert "step-000040" in problem and "not those that were written" in problem
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("size", "n_vocab", "n"),
    [("nano", 300, 24), ("micro", 5000, 24), ("mini", 300, 9), ("mini", 60_000, 0), ("small", 300, 0)],
)
def test_a_model_has_as_many_as_fit_in_200_mb(size: str, n_vocab: int, n: int) -> None:
    config = gg.RunConfig.of(size=size)
    assert snapshots_layer(config, n_vocab).tables == {"train": {"snapshots": n}}


def test_the_number_is_in_the_plan_with_its_origin(tmp_path: Path) -> None:
    asked = {"sources": str(tmp_path / "a.txt"), "size": "nano", "steps": 1, "device": "cpu"}
    (tmp_path / "a.txt").write_text(TEXT)
    for given, expected in (({}, (24, "size")), ({"snapshots": 0}, (0, "given"))):
        planned = plan(gg.RunConfig.of(**asked, **given))
        assert (planned.config.train.snapshots, planned.resolved.origins["train.snapshots"]) == expected
    session = start(gg.RunConfig.of(**asked), out=tmp_path / "run")
    assert session.folder.config().train.snapshots == 24
    assert session.folder.origins()["train.snapshots"] == "size"
    session.close()


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glassgpt.train.snapshots.save_snapshot", full)
    events = [*start(config(tmp_path, steps=3), out=tmp_path / "run").run()]
    told = [event for event in events if type(event).__name__ == "Warned" and "Snapshots" in str(event)]
    assert len(told) == 1 and gg.Run(tmp_path / "run").summary()


def test_thinning_keeps_the_ends() -> None:
    steps = list(range(100))
    while len(steps) > 5:
        steps.pop(least_needed(steps))
    assert steps[0] == 0 and steps[-1] == 99
    ratios = [(b + 1) / (a + 1) for a, b in itertools.pairwise(steps)]
    assert max(ratios) < 2.5 * min(ratios)


def test_a_large_snapshot_waits_until_its_time_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the steps that are evaluated do not wait."""
    monkeypatch.setattr("glassgpt.train.snapshots.SMALL_BYTES", 0)
    monkeypatch.setattr("glassgpt.train.snapshots.MAX_SHARE", 0.0)
    for _ in start(config(tmp_path), out=tmp_path / "run").run():
        pass
    assert snapshot_steps(gg.Run(tmp_path / "run")) == [0, 20, 40]
