"""Comparisons: what pairs share, equal lengths, going on after a stop, and errors before any training."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import glassgpt
from glassgpt.checkpoint import Run, weights
from glassgpt.errors import UserError
from glassgpt.train import Experiment, StepDone, start
from glassgpt.train.comparison import TrialBegan, TrialMeasured, compared, plan_comparison, plan_sweep
from glassgpt.train.comparison.trial import held_out_loss, share_weights

TEXT = "".join(f"{i} sheep and {i * i} goats went over {i % 7} hills. " for i in range(400))
TINY: dict[str, Any] = {
    "model": {"n_layer": 1, "n_embd": 16, "n_head": 2, "block_size": 16},
    "train": {"evals": 1, "threads": 1, "micro_batch_size": 4},
}
STEPS = {"steps": 3}


@pytest.fixture
def base(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "text.txt").write_text(TEXT)
    return {**TINY, "data": {"sources": [str(tmp_path / "text.txt")]}}


def trials(experiment: Experiment) -> list[tuple[str, int]]:
    return [(event.arm, event.seed) for event in experiment.run() if isinstance(event, TrialBegan)]


def test_pairs_are_interleaved_and_share_their_seeds(base: dict[str, Any], tmp_path: Path) -> None:
    experiment = plan_comparison("lr=0.02", "lr=0.01", base, length=STEPS, pairs=3, out=tmp_path / "c")
    expected = [("A", 1337), ("B", 1337), ("B", 1338), ("A", 1338), ("A", 1339), ("B", 1339)]
    assert trials(experiment) == expected
    assert [path.name for path in (tmp_path / "c").iterdir() if path.is_dir()] == []


def test_equal_arms_have_equal_losses_and_end_after_two_pairs(base: dict[str, Any], tmp_path: Path) -> None:
    found = glassgpt.compare("lr=0.02", {"optim": {"lr": 0.02}}, base, length=STEPS, out=tmp_path / "c")
    assert len(found.losses) == 2 and found.sentence.startswith("A and B do not differ")


def test_a_kept_run_is_an_ordinary_one(base: dict[str, Any], tmp_path: Path) -> None:
    experiment = plan_comparison(
        "lr=0.02", "lr=0.01", base, length=STEPS, pairs=1, keep=True, out=tmp_path / "c"
    )
    list(experiment.run())
    kept, alone = Run(tmp_path / "c" / "B-1337"), tmp_path / "alone"
    train = {**TINY["train"], **STEPS, "sample_tokens": 0}
    list(
        start(glassgpt.RunConfig.model_validate({**base, "optim": {"lr": 0.01}, "train": train}), alone).run()
    )
    mine, theirs = weights(kept.model()), weights(Run(alone).model())
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    verdict = glassgpt.Verdict.from_dict(json.loads(kept.verdict_file.read_text()))
    assert isinstance(verdict.model, glassgpt.Score)
    assert experiment.losses[0][1] == held_out_loss(kept) == pytest.approx(verdict.model.nats_per_char)


def test_a_stopped_comparison_goes_on_to_the_same_losses(base: dict[str, Any], tmp_path: Path) -> None:
    def plan(name: str) -> Experiment:
        return plan_comparison("lr=0.02", "lr=0.01", base, length=STEPS, pairs=2, out=tmp_path / name)

    whole = plan("whole")
    list(whole.run())
    n_steps = 0
    for _ in range(30):  # a stop after each step
        stopped = plan("stopped")
        for event in stopped.run():
            if isinstance(event, StepDone):
                n_steps += 1
                assert stopped.session is not None
                stopped.session.trainer.request_stop()
        if stopped.is_done:
            break
    assert stopped.losses == whole.losses
    assert n_steps == 2 * 2 * 3


def test_a_finished_comparison_trains_nothing(base: dict[str, Any], tmp_path: Path) -> None:
    def plan(**changes: Any) -> Experiment:
        options = {"length": STEPS, "pairs": 1, "out": tmp_path / "c", **changes}
        return plan_comparison("lr=0.02", "lr=0.01", base, **options)

    list(plan().run())
    again = plan()
    assert trials(again) == [] and len(again.losses) == 1
    with pytest.raises(UserError, match=r"other pairs. Choose another `out`"):
        list(plan(pairs=2).run())


def test_layers_of_equal_name_and_shape_begin_alike(base: dict[str, Any], tmp_path: Path) -> None:
    sizes = ({"n_layer": 1}, {"n_layer": 3})
    configs = [
        glassgpt.RunConfig.model_validate({**base, "model": {**TINY["model"], "preset": "gpt2", **size}})
        for size in sizes
    ]
    sessions = [start(config, tmp_path / str(i)) for i, config in enumerate(configs)]
    first, second = (session.trainer.model for session in sessions)
    before = weights(second)["blocks.0.attn.qkv.weight"].clone()
    share = share_weights(sessions[1], configs[0], sessions[0].data.tokenizer.n_vocab)
    mine, theirs = weights(second), weights(first)
    assert not torch.equal(before, theirs["blocks.0.attn.qkv.weight"])
    assert torch.equal(mine["blocks.0.attn.qkv.weight"], theirs["blocks.0.attn.qkv.weight"])
    residual = "blocks.0.attn.proj.weight"  # its spread depends on the number of layers
    assert not torch.equal(mine[residual], theirs[residual])
    assert 0.2 < share < 1
    for session in sessions:
        session.close()


def test_equal_tokens_and_operations_give_each_arm_its_steps(base: dict[str, Any], tmp_path: Path) -> None:
    def steps(length: dict[str, float], out: str) -> list[int]:
        experiment = plan_comparison(
            "batch_size=4", "batch_size=8", base, length=length, pairs=1, keep=True, out=tmp_path / out
        )
        list(experiment.run())
        return [
            len([row for row in Run(path).metrics() if row["event"] == "step"]) for path in _runs(experiment)
        ]

    assert steps({"tokens": 512}, "tokens") == [8, 4]
    by_operations = steps({"flops": 3e7}, "flops")
    assert by_operations[0] == pytest.approx(2 * by_operations[1], abs=1) and by_operations[1] > 1


def _runs(experiment: Experiment) -> list[Path]:
    return [experiment.folder / f"{name}-{experiment.seed}" for name in experiment.names]


def test_an_arm_without_a_length_gets_a_minute_and_one_with_keeps_it(base: dict[str, Any]) -> None:
    assert plan_comparison("nano", "micro", base).length == {"minutes": 1.0}
    assert plan_comparison("steps=5", "steps=9", base).length == {}
    shared = plan_comparison("nano", "micro", {**base, "train": {"steps": 7, "seed": 5}})
    assert (shared.length, shared.seed, shared.base["train"]) == ({"steps": 7}, 5, {})


def test_different_texts_need_a_text_to_measure_on(base: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(TEXT.replace("goats", name))
    (tmp_path / "held_out.txt").write_text("nine sheep and four goats. " * 50)
    arms = [f"'{tmp_path}/{name}.txt'" for name in ("one", "two")]
    options: dict[str, Any] = {"length": STEPS, "pairs": 1}
    with pytest.raises(UserError, match="hold out different texts"):
        glassgpt.compare(*arms, TINY, out=tmp_path / "c", **options)
    held_out = tmp_path / "held_out.txt"
    experiment = plan_comparison(*arms, TINY, out=tmp_path / "d", held_out=held_out, **options)
    list(experiment.run())
    assert experiment.losses[0][0] != experiment.losses[0][1]
    assert not any("held-out" in note for note in experiment.notes)
    held_out.write_text(TEXT.replace("goats", "one")[:3000])
    copied = plan_comparison(*arms, TINY, out=tmp_path / "e", held_out=held_out, **options)
    list(copied.run())
    assert any(note.startswith("A: ") for note in copied.notes), copied.notes
    held_out.write_text("too short")
    with pytest.raises(UserError, match="too few"):
        glassgpt.compare(*arms, TINY, out=tmp_path / "f", held_out=held_out, **options)


def test_different_tokenizers_are_measured_on_the_same_text(base: dict[str, Any], tmp_path: Path) -> None:
    experiment = plan_comparison(
        "tokenizer=char", "tokenizer=byte", base, length=STEPS, pairs=1, out=tmp_path / "c"
    )
    list(experiment.run())
    assert any("in different order" in note for note in experiment.notes)
    assert any("of the weights of B begin as in A" in note for note in experiment.notes)


def test_a_sweep_trains_every_combination_with_every_seed(base: dict[str, Any], tmp_path: Path) -> None:
    vary = {"lr": [0.01, 0.02], "dropout": [0.0, 0.1]}
    experiment = plan_sweep(vary, base, length=STEPS, pairs=2, out=tmp_path / "s")
    found = [event for event in experiment.run() if isinstance(event, TrialMeasured)]
    assert len(found) == 8 and len(experiment.losses) == 2
    assert experiment.names[0] == "lr=0.01 dropout=0.0"
    assert all(one.seconds > 0 for one in found)
    assert [a.pair <= b.pair for a, b in pairwise(found)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 0}, "`pairs`: 0 is out of range"),
        ({"pairs": 17}, "Give 1 to 16"),
        ({"length": {"steps": -1}}, "Give one positive number"),
        ({"length": {"steps": 3, "tokens": 100}}, "Give one positive number"),
        ({"length": {"epochs": 3}}, "Give one positive number of minutes"),
        ({"held_out": Path("none.txt")}, "no such file"),
    ],
)
def test_bad_options_are_errors_before_any_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_comparison("nano", "micro", **options)


@pytest.mark.parametrize("vary", [{"lr": [0.1]}, {"lr": [0.1, 0.1]}, {"lr": []}, {"no_such": [1, 2]}])
def test_a_sweep_needs_different_values(vary: dict[str, list[Any]]) -> None:
    with pytest.raises(UserError):
        plan_sweep(vary)


def test_a_damaged_record_is_named(base: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "comparison.json").write_text('{"format": 2}')
    experiment = plan_comparison("nano", "micro", base, out=tmp_path / "c")
    with pytest.raises(UserError, match=r"comparison.json: format 2 is not supported"):
        list(experiment.run())
    with pytest.raises(UserError, match="no pair is finished"):
        compared(experiment)


def test_a_strangers_folder_is_left_alone(base: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="is not empty"):
        list(plan_comparison("nano", "micro", base, out=tmp_path / "c").run())
    assert [path.name for path in (tmp_path / "c").glob("*.txt")] == ["letter.txt"]
