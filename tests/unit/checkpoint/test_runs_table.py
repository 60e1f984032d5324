"""`runs`: the runs of a folder as a table, in five formats."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run, acquire_lock, runs
from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.cli.view.runs import print_runs
from glassgpt.cli.view.terminal import Terminal
from glassgpt.errors import UserError
from glassgpt.language import _, using
from glassgpt.tables import as_html, as_latex, as_markdown
from helpers.commands import run as command

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


def change(run: Path, **settings: object) -> None:
    """Change settings of a run, as if options had chosen them."""
    config = json.loads((run / "config.json").read_text())
    for name, value in settings.items():
        table, _, field = name.partition("_")
        config[table][field] = value
        config["origins"] = {**config.get("origins", {}), f"{table}.{field}": "option"}
    (run / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four runs: two that differ in seed and learning rate, a stopped one, a damaged one."""
    for name in ("notes-2", "notes-10", "stopped", "damaged_&_gone"):
        shutil.copytree(GOLDEN, tmp_path / "runs" / name)
    change(tmp_path / "runs" / "notes-10", train_seed=7, optim_lr=0.5, data_sources=["a|b.txt"])
    (tmp_path / "runs" / "stopped" / "verdict.json").unlink()
    (tmp_path / "runs" / "damaged_&_gone" / "config.json").write_text("{")
    return tmp_path / "runs"


def test_the_settings_that_differ_are_columns(folder: Path) -> None:
    table = runs(folder)
    assert table.options == ("lr",)
    rows = {row["run"].rpartition("/")[2]: row for row in table.figures()}
    assert (rows["notes-10"]["seed"], rows["notes-10"]["lr"], rows["notes-2"]["lr"]) == (7, 0.5, None)
    assert {row["status"] for row in rows.values()} == {"done", "stopped", "damaged"}
    assert rows["damaged_&_gone"]["loss"] is None


def test_orders(folder: Path) -> None:
    assert [run.path.name for run in runs(folder).runs] == [
        "damaged_&_gone",
        "notes-2",
        "notes-10",
        "stopped",
    ]
    losses = [run.nats_per_char for run in runs(folder, sort="loss").runs]
    assert losses[-1] is None and losses[:-1] == sorted(loss for loss in losses if loss is not None)
    (folder / "stopped" / "metrics.jsonl").touch()
    assert runs(folder, sort="date").runs[0].path.name == "stopped"
    with pytest.raises(UserError, match="`sort`"):
        runs(folder, sort="size")  # pyright: ignore[reportArgumentType]


def test_tasks(folder: Path) -> None:
    assert len(runs(folder, task="language").runs) == 3
    with pytest.raises(UserError, match="Did you mean language"):
        runs(folder, task="langage")


def test_a_run_that_trains_says_how_far_it_is(folder: Path) -> None:
    lock = acquire_lock(folder / "stopped")
    row = next(row for row in runs(folder).figures() if row["run"].endswith("stopped"))
    lock.release()
    assert row["status"] == "training 100%"


def test_programs_can_read_it(folder: Path) -> None:
    table = runs(folder)
    assert json.loads(table.to_json()) == table.figures()
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert rows[2]["text"] == "a|b.txt" and float(rows[2]["loss"]) > 0 and rows[0]["loss"] == ""


def test_characters_of_the_formats_are_escaped(folder: Path) -> None:
    table = runs(folder)
    assert r"damaged\_\&\_gone" in table.to_latex() and r"\toprule" in table.to_latex()
    assert r"a\|b.txt" in table.to_markdown()
    lines = table.to_markdown().splitlines()
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert "damaged_&amp;_gone" in table._repr_html_()
    assert as_html(["<b>"], [["<script>"]]).count("<script>") == 0
    assert as_markdown(["a"], [["<img src=x>"]]).count("<img") == 0
    assert as_latex(["a"], [["\\input{x} 5 % ~^"]]).count("\\input{") == 0


@pytest.mark.parametrize("name", ["rows", "text", "loss"])
def test_the_name_of_a_run_is_not_translated(folder: Path, name: str) -> None:
    (folder / "notes-2").rename(folder / name)
    with using("zh"):
        assert _(name) != name
    for listing in (["runs"], ["plot", f"runs/{name}", "runs/notes-10"]):
        assert name in command(folder.parent, *listing, "--lang", "zh").split()


def test_an_export_is_no_run(folder: Path) -> None:
    export = folder / "notes-2-hf"
    export.mkdir()
    (export / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}')
    assert export not in [run.path for run in runs(folder).runs]
    with pytest.raises(UserError, match=r"a model of transformers. Import it: glassgpt import .*notes-2-hf"):
        Run.open(export)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_one_line_for_each_run(
    folder: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(width=width, is_terminal=True)
    monkeypatch.setattr("glassgpt.cli.view.runs.Terminal", lambda: terminal)
    print_runs(runs(folder), wide=False)
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "notes-" in line or "stopped" in line]
    assert len([line for line in rows if "glassgpt" not in line]) == 3
    assert all("done" in line or "stopped" in line for line in rows)


def test_the_command(folder: Path) -> None:
    listed = command(folder.parent, "runs")
    assert "notes-10" in listed and "left out" not in listed and "0.5" in listed
    assert "notes-10" in command(folder.parent, "runs", "--latex", "--sort", "loss")
    assert "one of them" in command(folder.parent, "runs", "--json", "--csv", code=2)
