"""Commands in pipes: closed streams, other encodings, hyphens, names that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassgpt.config import CORPORA, DATASETS
from glassgpt.data import BUILT_IN
from glassgpt.data.files.corpora import NAMED
from helpers.commands import run

QUICK = ["--size", "nano", "--steps", "4", "--evals", "2", "--sample-tokens", "8"]
GLASSGPT = [sys.executable, "-m", "glassgpt"]
PROSE = "".join(f"red-red-new, line {i % 40}\n" for i in range(200))  # repeated: not a list of lines
DNA = "ACAGGCACCTTGAC" * 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a trained run."""
    folder = tmp_path_factory.mktemp("pipes")
    (folder / "a.txt").write_text(PROSE)
    run(folder, "train", "a.txt", *QUICK, "--out", "run")
    return folder


def command(folder: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*GLASSGPT, *arguments], cwd=folder, capture_output=True, timeout=120, **options)  # pyright: ignore


def test_training_goes_on_when_the_reader_of_the_pipe_quits(folder: Path) -> None:
    read, written = os.pipe()
    arguments = [*GLASSGPT, "train", "a.txt", *QUICK, "--out", "piped"]
    with subprocess.Popen(arguments, cwd=folder, stdout=written, stderr=subprocess.PIPE) as process:
        os.close(written)
        os.close(read)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 0 and said.count("the output is closed") == 1 and "Traceback" not in said
    assert (folder / "piped" / "verdict.json").is_file()


def test_other_commands_end_quietly_when_the_reader_quits(folder: Path) -> None:
    read, written = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [*GLASSGPT, "runs", "."], cwd=folder, stdout=written, stderr=subprocess.PIPE, timeout=120
    )
    os.close(written)
    assert ended.returncode == 0 and not ended.stderr


def test_any_encoding_of_the_output(folder: Path) -> None:
    ended = command(folder, "runs", ".", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0 and not ended.stderr and b"done" in ended.stdout


def test_a_closed_standard_input_is_an_empty_one(folder: Path) -> None:
    shell = f'"{sys.executable}" -m glassgpt train - --steps 1 <&-'
    ended = subprocess.run(shell, shell=True, cwd=folder, capture_output=True, timeout=120)
    assert ended.returncode == 2 and b"standard input" in ended.stderr and b"Traceback" not in ended.stderr


def test_a_hyphen_means_itself(folder: Path) -> None:
    prompt = json.loads(run(folder, "sample", "run", "--prompt", "-", "--json", "--max-new-tokens", "3"))
    assert prompt["prompt"] == "-"
    stopped = run(
        folder,
        "sample",
        "run",
        "--prompt",
        "red",
        "--stop",
        "-",
        "--stop",
        r"\n",
        "--max-new-tokens",
        "300",
        "--seed",
        "1",
    )
    assert "-" not in stopped and "\n" not in stopped.strip() and "<stdin>" not in stopped
    assert run(folder, "sample", "run", "--stop=-", "--seed", "3") == run(
        folder, "sample", "run", "--stop", "-", "--seed", "3"
    )
    assert "<stdin>" not in run(folder, "look", "run", "-")
    run(folder, "train", "a.txt", *QUICK, "--out", "-")
    assert (folder / "-" / "config.json").is_file()
    assert "got '-'" in run(folder, "train", "a.txt", "--device", "cpu", "--model", "-", code=2)


def test_a_prompt_from_a_file_or_a_pipe(folder: Path) -> None:
    (folder / "prompt.txt").write_text("red\nnew\n")
    options = ["--json", "--seed", "5", "--num-samples", "2", "--max-new-tokens", "8"]
    rows = [
        json.loads(row)
        for row in run(folder, "sample", "run", "--prompt-file", "prompt.txt", *options).splitlines()
    ]
    assert [row["seed"] for row in rows] == [5, 6] and {row["prompt"] for row in rows} == {"red\nnew"}
    piped = run(folder, "sample", "run", "--prompt-file", "-", *options, stdin=b"red\nnew\n")
    assert [json.loads(row) for row in piped.splitlines()] == rows
    shown = run(folder, "sample", "run", "--prompt", "red\nnew", "--seed", "6", "--max-new-tokens", "8")
    assert shown == "red\nnew" + rows[1]["text"] + "\n"
    assert "line 1: byte 0xFF" in run(folder, "sample", "run", "--prompt-file", "-", stdin=b"\xff", code=2)


def test_a_built_in_name_wins_and_is_said(tmp_path: Path) -> None:
    assert (*NAMED,) == CORPORA and sorted(BUILT_IN) == sorted(DATASETS)
    for name in ("dates", "python"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(PROSE)
    plan = json.loads(run(tmp_path, "train", "dates", "--dry-run", "--json"))
    assert plan["task"] == "translation" and "give ./dates" in plan["notes"][0]
    plan = json.loads(run(tmp_path, "train", "./dates", "--dry-run", "--json"))
    assert plan["task"] == "language" and "give ./" not in str(plan["notes"])
    plan = json.loads(run(tmp_path, "train", "--dry-run", "--json"))
    assert plan["settings"]["data.sources"]["value"] == ["python"] and "give ./python" in plan["notes"][0]


def test_a_text_without_lines_begins_with_its_first_word(tmp_path: Path) -> None:
    (tmp_path / "dna.txt").write_text(DNA)
    run(tmp_path, "train", "dna.txt", *QUICK, "--out", "run")
    assert run(tmp_path, "sample", "run", "--max-new-tokens", "3").startswith("ACAGGCAC")


def test_settings_of_files(folder: Path) -> None:
    (folder / "c.toml").write_text('[data]\nsources = "a.txt"\n[train]\nsteps = 3\n')
    plan = json.loads(run(folder, "train", "--config", "c.toml", "--dry-run", "--json"))
    assert plan["settings"]["data.sources"]["value"] == ["a.txt"]
    plan = json.loads(
        run(folder, "train", "--config", "run/config.json", "--steps", "9", "--dry-run", "--json")
    )
    values = {name: setting["value"] for name, setting in plan["settings"].items()}
    assert (values["model.size"], values["train.steps"], values["train.evals"]) == ("nano", 9, 2)
    for text, says in (
        ("steps = 3", "steps: no such setting. It belongs to the table [train]"),
        ("[train]\nlearning_rate = 3", "[train] learning_rate: no such setting. Use [optim] lr"),
    ):
        (folder / "c.toml").write_text(text)
        assert says in run(folder, "train", "--config", "c.toml", code=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "a.txt", "--learning-rate", "0.1"], "Use --lr."),
        (["train", "a.txt", "--epochs", "3"], "Use --max-epochs."),
        (["train", "a.txt", "--max-iters", "3"], "Use --steps."),
        (["train", "--data", "a.txt"], "Name files and folders without an option"),
        (["resume", "run", "--lr", "0.1"], "A resumed run keeps its --lr."),
        (["sample", "run", "--max-tokens", "3"], "Use --max-new-tokens."),
        (["sample", "run", "--temperatur", "3"], "Did you mean --temperature?"),
    ],
)
def test_options_of_other_programs(folder: Path, words: list[str], says: str) -> None:
    assert says in run(folder, *words, code=2)


def test_a_device_that_torch_lacks_is_said_in_a_line(folder: Path) -> None:
    said = run(folder, "sample", "run", "--device", "xla", code=2)
    assert "cannot be used here" in said and len(said) < 300


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 elsewhere")
def test_names_that_are_no_text(folder: Path) -> None:
    odd = folder / os.fsdecode(b"x\xff")
    odd.mkdir()
    (odd / "a.txt").write_text(PROSE)
    run(folder, "train", os.fsdecode(b"x\xff/a.txt"), *QUICK, "--out", "odd")
    assert "step-0000000004  1.3 MB  the best; whole" in run(folder, "verify", "odd")
    assert "not UTF-8. Rename it" in run(folder, "train", "a.txt", "--out", str(odd / "run"), code=2)
    run(odd, "train", "a.txt", *QUICK, "--out", "run")
    assert "step-0000000004  1.3 MB  the best; whole" in run(odd, "verify", "run")


def test_hints_can_be_copied(folder: Path) -> None:
    out = run(folder, "train", "a.txt", *QUICK, "--out", "sp ace$(x)/run")
    assert "glassgpt sample 'sp ace$(x)/run'" in out and "glassgpt runs 'sp ace$(x)'" in out


def test_chapters_need_a_past(folder: Path) -> None:
    run(folder, "train", "a.txt", *QUICK, "--block-size", "1", "--out", "short")
    for name in ("mask", "graph"):
        assert "cannot show this" in " ".join(run(folder, "explain", name, "--run", "short").split())
