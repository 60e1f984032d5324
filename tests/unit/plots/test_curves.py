"""The plot of learning curves: its labels do not overlap, and baselines stand at their losses."""

from __future__ import annotations

import json
import shutil
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.errors import UserError
from glassgpt.plots import Plot, plot, save
from glassgpt.plots.level_labels import spread_labels
from helpers.commands import run as command

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


def labels(found: Plot) -> list[str]:
    return [text.get_text() for axes in found.axes for text in axes.texts]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve runs that all end with nearly the same loss."""
    for seed in range(12):
        run = tmp_path / f"run{seed}"
        shutil.copytree(GOLDEN, run)
        config = json.loads((run / "config.json").read_text())
        config["optim"]["lr"] = 0.01 * (seed + 1)
        (run / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_labels_do_not_overlap(folder: Path, theme: str) -> None:
    found = plot(folder, theme=theme)  # pyright: ignore[reportArgumentType]
    found.rendered("png", dpi=100)
    boxes = [text.get_window_extent() for axes in found.axes for text in axes.texts]
    assert len(boxes) >= 12
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    width, height = found.bbox.size
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


def test_baselines_stand_at_their_losses(folder: Path) -> None:
    found = plot(folder / "run0")
    verdict = json.loads((folder / "run0" / "verdict.json").read_text())
    rows = [row for row in verdict["baselines"] if row["kind"] != "compressor"]
    levels = sorted(line.get_ydata()[0] for line in found.axes[0].lines if line.get_linestyle() == "--")  # pyright: ignore
    assert levels == pytest.approx(sorted(row["nats_per_char"] for row in rows))
    assert any(f"run0 {verdict['model']['nats_per_char']:.3f}" == label for label in labels(found))


def test_runs_of_a_group_without_a_common_part(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "run0" / "metrics.jsonl").read_text().splitlines()]
    late = [json.dumps({**row, "step": row["step"] + 100}) for row in rows]
    (folder / "run1" / "metrics.jsonl").write_text("\n".join(late))
    found = plot([folder / "run0", folder / "run1"], by="size")
    diamonds = [line.get_xdata() for line in found.axes[0].lines if line.get_marker() == "D"]
    assert [list(each) for each in diamonds if len(each)] == [[106]] and found.rendered("png", dpi=50)


def test_labels_are_moved_as_little_as_possible() -> None:
    assert spread_labels([0.0, 5.0, 10.0], 1.0) == [0.0, 5.0, 10.0]
    moved = spread_labels([1.0, 1.0, 1.2, 1.4], 0.5)
    assert [round(b - a, 6) for a, b in pairwise(moved)] == [0.5] * 3
    assert sum(moved) == pytest.approx(4.6)  # around the mean of all


def test_the_command(folder: Path, tmp_path: Path) -> None:
    told = command(tmp_path, "plot", str(folder / "run0"), "--out", "curves.svg", "--dark")
    assert "run0" in told and "curves.svg" in told and "best counted" in told
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    rows = json.loads(command(tmp_path, "plot", str(folder), "--by", "seed", "--x", "tokens", "--json"))
    assert rows[0]["final_loss"]["n"] == 12 and rows[0]["held_out"][0][0] > 0
    assert ".png, .svg, .pdf" in command(tmp_path, "plot", str(folder), "--out", "a.gif", code=2)
    with pytest.raises(UserError, match="`x`"):
        plot(folder, x="days")  # pyright: ignore[reportArgumentType]


def test_the_same_runs_make_the_same_file(folder: Path, tmp_path: Path) -> None:
    files = [save(plot(folder / "run1"), tmp_path / name).read_bytes() for name in ("a.svg", "b.svg")]
    assert files[0] == files[1]
