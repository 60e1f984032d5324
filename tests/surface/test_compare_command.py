"""`glassgpt compare` and `glassgpt sweep`, as a person uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from glassgpt.train.comparison import samplers
from helpers.commands import run

TEXT = "".join(f"{i} sheep and {i * i} goats went over {i % 7} hills. " for i in range(400))
TINY = ("--n-layer", "1", "--n-embd", "16", "--n-head", "2", "--block-size", "16", "--batch-size", "4")
QUICK = (*TINY, "--evals", "1", "--steps", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text(TEXT)
    (tmp_path / "a.toml").write_text("[optim]\nlr = 0.02\n[train]\nsteps = 900\n")
    return tmp_path


def test_a_table_of_pairs_and_an_answer(folder: Path) -> None:
    words = ("compare", "a.toml", "--lr 0.0001 --muon-lr 0.0001", "notes.txt", *QUICK, "--pairs", "6")
    out = run(folder, *words)
    assert "A      a.toml" in out and "B      --lr 0.0001 --muon-lr 0.0001" in out
    assert out.count("\n   ") >= 6
    assert "A is better by" in out and "by bootstrap" in out
    assert run(folder, *words) == out


def test_json_has_what_was_asked_and_the_answer(folder: Path) -> None:
    out = run(folder, "compare", "nano", "nano", "notes.txt", *QUICK, "--json")
    found = json.loads(out)
    assert found["length"] == {"steps": 3} and found["pairs"] == 8 and len(found["losses"]) == 2
    assert found["sentence"].startswith("A and B do not differ") and found["finding"]["outcome"] == "unclear"


def test_a_run_is_a_set_of_settings(folder: Path) -> None:
    run(folder, "train", "notes.txt", *QUICK, "--sample-tokens", "0", "--out", "run")
    words = ("compare", "run", "lr=0.01", "notes.txt", *QUICK, "--pairs", "1", "--keep", "--out", "c")
    out = run(folder, *words)
    assert "Too few pairs to tell" in out and "--pairs" in out
    assert (folder / "c" / "A-1337" / "verdict.json").is_file()


def test_two_ways_of_sampling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "N_CHARS", 600)
    short = ("--evals", "1", "--steps", "40", "--sample-tokens", "0")
    run(folder, "train", "notes.txt", *TINY, *short, "--out", "run")
    words = ("compare", "temperature=0", "--temperature 1 --top-p 0.95", "run", "--pairs", "2")
    out = run(folder, *words)
    assert "A      temperature=0" in out and "Too few pairs to tell" in out
    found = json.loads(run(folder, *words, "--json", "--plot", "s.svg"))
    assert all(a > b + 0.1 for a, b in found["losses"])  # greedy text repeats itself
    assert (folder / "s.svg").is_file()
    assert "two ways of sampling need one run" in run(folder, *words[:3], code=2)
    refused = run(folder, *words[:3], "notes.txt", code=2)
    assert "notes.txt" in refused


def test_a_sweep_and_its_plot(folder: Path) -> None:
    vary = ("--vary", "lr=0.01,0.02", "--vary", "dropout=0.0,0.1")
    out = run(folder, "sweep", "notes.txt", *vary, *QUICK, "--pairs", "2", "--plot", "sweep.svg")
    assert "lr=0.02 dropout=0.1" in out and "reference" in out and "takes 7 pairs or more" in out
    assert (folder / "sweep.svg").read_text().startswith("<?xml")
    out = run(folder, "compare", "lr=0.01", "lr=0.02", "notes.txt", *QUICK, "--pairs", "1", "--plot", "c.png")
    assert (folder / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "no_such=1", "nano"), "no_such: no such setting"),
        (("compare", "nano", "none.toml"), "none.toml: no such file"),
        (("compare", "nano", "micro", "--pairs", "99"), "--pairs: 99 is out of range"),
        (("compare", "nano", "micro", "--flops", "1e9", "--held-out", "none.txt"), "none.txt: no such file"),
        (("compare", "nano", "micro", "--flops", "1e9", "--steps", "3"), "Give one"),
        (("compare", "n_embd=30", "n_embd=31", "notes.txt"), "--n-embd (30) must be a multiple"),
        (("compare", "nano", "micro", "--plot", "c.gif"), "unknown format"),
        (("sweep", "notes.txt", "--vary", "lr"), "--vary lr: no values"),
        (("sweep", "notes.txt", "--vary", "lr=0.1"), "--vary: 1 combinations"),
        (("sweep", "notes.txt", "--vary", "lr=0.1,0.1"), "Give different values"),
    ],
)
def test_bad_input_is_an_error_before_any_training(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in run(folder, *arguments, code=2)
    assert not list(folder.glob("comparisons/*/comparison.json"))


INTERRUPTED = """
import os, signal
from glassgpt.cli.main import main
from glassgpt.train.learner import Learner

update, steps = Learner.optimizer_step, iter(range(1, 100))

def optimizer_step(*arguments):
    update(*arguments)
    if next(steps) == 5:
        os.kill(os.getpid(), signal.SIGINT)

Learner.optimizer_step = optimizer_step
main()
"""


def test_ctrl_c_saves_and_the_same_command_goes_on(folder: Path) -> None:
    arms = ("lr=0.02", "lr=0.01")
    words = ("compare", *arms, "notes.txt", *TINY, "--steps", "12", "--pairs", "1", "--out", "c")
    command = [sys.executable, "-c", INTERRUPTED, *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 130 and "Give the same command to go on" in ended.stderr
    assert list((folder / "c" / "A-1337" / "checkpoints").glob("step-*"))
    assert "Too few pairs to tell" in run(folder, *words)
    assert sorted(path.name for path in (folder / "c").iterdir() if path.is_dir()) == []
