"""Learning curves read from runs: repeated steps, damage, groups of seeds, and their spread."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from glassgpt.checkpoint import Run, group_curves, read_curve, read_curves, summarize
from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.errors import UserError

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


def step(n: int, loss: float, **more: object) -> dict[str, object]:
    return {"event": "step", "step": n, "loss": loss, "tokens": 100, "elapsed_s": 6.0 * n, **more}


def evaluated(n: int, nats: float, **more: object) -> dict[str, object]:
    return {"event": "eval", "step": n, "nats_per_char": nats, "nats_per_token": 2 * nats, **more}


def make(folder: Path, rows: list[object], *, seed: int = 1, lr: float | None = None) -> Path:
    """Copy a run, with other metrics and settings and without its verdict."""
    shutil.copytree(GOLDEN, folder)
    (folder / "verdict.json").unlink()
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    config = json.loads((folder / "config.json").read_text())
    config["train"]["seed"], config["optim"]["lr"] = seed, lr
    (folder / "config.json").write_text(json.dumps(config))
    return folder


ROWS: list[object] = [step(1, 4.0), step(2, 3.0), evaluated(2, 1.6), step(3, 2.0), evaluated(3, 1.2)]


def test_losses_are_per_character_and_minutes_and_tokens_are_counted(tmp_path: Path) -> None:
    curve = read_curve(Run(make(tmp_path / "a", ROWS)))
    assert [point.loss for point in curve.training] == [2.0, 1.5, 1.0]  # two characters a token
    assert [(p.steps, p.minutes, p.tokens, p.loss) for p in curve.held_out] == [
        (2, pytest.approx(0.2), 200, 1.6),
        (3, pytest.approx(0.3), 300, 1.2),
    ]
    assert curve.final_loss is None and curve.best_held_out == 1.2
    assert {row.name for row in curve.baselines} > {"uniform", "bigram"}
    assert not [row for row in curve.baselines if row.kind == "compressor"]


def test_a_step_repeated_after_a_kill_counts_once(tmp_path: Path) -> None:
    curve = read_curve(Run(make(tmp_path / "a", [*ROWS, step(3, 1.0), evaluated(3, 1.1)])))
    assert [point.steps for point in curve.training] == [1, 2, 3]
    assert curve.held_out[-1].loss == 1.1 and curve.held_out[-1].tokens == 300


def test_damaged_rows_are_left_out(tmp_path: Path) -> None:
    bad: list[object] = [
        '{"event": "step", "st',
        "[]",
        evaluated(2, math.nan),
        evaluated(9, 1.0),  # of a step that is lost
        step(4, 1e300),
        {**step(5, 1.0), "loss": "low"},
        {**step(-6, 1.0)},
    ]
    curve = read_curve(Run(make(tmp_path / "a", [*ROWS, *bad])))
    assert [point.steps for point in curve.training] == [1, 2, 3]
    assert [point.steps for point in curve.held_out] == [3]


def test_runs_that_differ_only_in_seed_are_one_curve(tmp_path: Path) -> None:
    make(tmp_path / "notes-seed1", ROWS)
    make(tmp_path / "notes-seed2", [*ROWS[:-1], evaluated(3, 1.4)], seed=2)
    make(tmp_path / "other", ROWS, lr=0.5)
    groups = group_curves(read_curves(tmp_path))
    assert [group.label for group in groups] == ["notes, 2 seeds", "other"]
    band = groups[0].held_out("steps")
    assert band.mean.tolist() == pytest.approx([1.6, 1.3])
    assert band.sd.tolist() == pytest.approx([0, 0.2 / math.sqrt(2)])  # |a − b| / √2 of two values
    spread = groups[0].spread("best_held_out")
    assert spread is not None and str(spread) == "1.300 ± 0.141"


def test_groups_by_a_setting(tmp_path: Path) -> None:
    runs = [make(tmp_path / f"r{i}", ROWS, seed=i, lr=lr) for i, lr in enumerate((0.1, 0.5, 0.1, None))]
    groups = group_curves(read_curves(runs), by="lr")
    assert [(group.label, len(group.curves)) for group in groups] == [
        ("lr 0.1", 2),
        ("lr 0.5", 1),
        ("lr default", 1),
    ]
    with pytest.raises(UserError, match="`by`: nonsense"):
        group_curves(read_curves(runs), by="nonsense")


def test_curves_of_different_lengths_are_averaged_where_both_have_values(tmp_path: Path) -> None:
    make(tmp_path / "a", [step(i, 1.0) for i in (1, 2, 3, 4)] + [evaluated(1, 3.0), evaluated(3, 1.0)])
    late = [step(i, 1.0) for i in (1, 2, 3, 4)] + [evaluated(2, 4.0), evaluated(4, 2.0)]
    make(tmp_path / "b", late, seed=2)
    band = group_curves(read_curves(tmp_path))[0].held_out("steps")
    assert band.x.tolist() == [2, 3]
    assert band.mean.tolist() == pytest.approx([3.0, 2.0])  # (2 + 4) / 2, (1 + 3) / 2


def test_a_long_training_curve_is_reduced_to_means(tmp_path: Path) -> None:
    rows = [step(i + 1, 1.0 + i % 2) for i in range(1000)] + [evaluated(1000, 1.0)]
    band = group_curves([read_curve(Run(make(tmp_path / "a", rows)))])[0].training("steps")
    assert len(band) == 200 and np.allclose(band.mean, 0.75, atol=0.06)


def test_runs_without_a_curve(tmp_path: Path) -> None:
    make(tmp_path / "young", [step(1, 4.0)])
    with pytest.raises(UserError, match="no evaluation yet"):
        read_curves(tmp_path / "young")
    with pytest.raises(UserError, match="is not a run"):
        read_curves(tmp_path / "missing")
    make(tmp_path / "broken", ROWS)
    (tmp_path / "broken" / "config.json").write_text("{")
    make(tmp_path / "good", ROWS)
    assert [curve.name for curve in read_curves(tmp_path)] == ["good"]
    with pytest.raises(UserError, match="damaged"):
        read_curves(tmp_path / "broken")


def test_the_family_is_no_second_column_of_the_model(tmp_path: Path) -> None:
    make(tmp_path / "a", ROWS)
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    config["origins"] = {"model.family": "option", "model.n_layer": "option"}
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    assert [*summarize(Run(tmp_path / "a")).options] == ["n_layer"]
