"""`glassgpt sample`: lines of a list, ends of a text, files."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run, learned_a_list, learned_lines
from helpers.commands import run

SYLLABLES = ["an", "be", "ca", "do", "el", "fi", "go", "ha", "in", "jo"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of names and a run on it; a text of sentences and a run on that."""
    folder, draw = tmp_path_factory.mktemp("sample"), random.Random(0)
    names = sorted({"".join(draw.choices(SYLLABLES, k=draw.choice((2, 3)))) for _ in range(400)})
    (folder / "names.txt").write_text("\n".join(names) + "\n", "utf-8")
    (folder / "notes.txt").write_text("The cat, they say, sat on a mat. Then it slept.\n" * 50, "utf-8")
    options = ("--size", "nano", "--sample-tokens", "0", "--no-autopilot")
    run(folder, "train", "names.txt", *options, "--steps", "120", "--out", "names")
    run(folder, "train", "notes.txt", *options, "--steps", "40", "--out", "notes")
    return folder


def names(folder: Path) -> set[str]:
    return set((folder / "names.txt").read_text().split())


def test_a_list_is_sampled_by_lines_and_its_known_ones_are_counted(folder: Path) -> None:
    *lines, note = run(folder, "sample", "names", "--lines", "40", "--seed", "1").splitlines()
    n_known = sum(line in names(folder) for line in lines)
    assert len(lines) == 40 and 0 < n_known < 40
    assert note == f"glassgpt: note: {40 - n_known} of 40 lines are new, {n_known} stand in the training text"
    assert run(folder, "sample", "names", "--lines", "40", "--seed", "1").splitlines()[:-1] == lines
    begun = run(folder, "sample", "names", "--lines", "5", "--prompt", "an").splitlines()[:-1]
    assert len(begun) == 5 and all(line.startswith("an") for line in begun)


def test_neighboring_seeds_share_no_lines_but_by_chance(folder: Path) -> None:
    shown = ("sample", "names", "--lines", "12", "--temperature", "3", "--seed")
    first, second = ([*run(folder, *shown, seed).splitlines()][:12] for seed in ("5", "6"))
    assert not {line for line in first if len(line) > 5} & set(second)


def test_ten_lines_are_the_default_of_a_list_only(folder: Path) -> None:
    assert learned_a_list(Run(folder / "names")) and not learned_a_list(Run(folder / "notes"))
    assert len(run(folder, "sample", "names").splitlines()) == 11  # with the note
    assert "lines are new" not in run(folder, "sample", "notes", "--max-new-tokens", "20")
    assert "lines are new" not in run(folder, "sample", "names", "--stop", "x", "--max-new-tokens", "20")


def test_a_shared_copy_of_a_list_is_sampled_by_line(folder: Path) -> None:
    run(folder, "share", "names", "--out", "given")
    assert not (folder / "given/data").exists()
    assert len([line for line in run(folder, "sample", "given").splitlines() if line.strip()]) >= 10


def test_lines_are_found_in_both_splits_and_across_pieces(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassgpt.checkpoint.run_data.PIECE", 7)
    opened = Run(folder / "names")
    wanted = names(folder) | {"nobody", "an be", ""}
    assert learned_lines(opened, opened.tokenizer(), wanted) - {""} == names(folder)


def test_json_lines_and_files(folder: Path) -> None:
    said = run(folder, "sample", "names", "--lines", "2", "--seed", "7", "--json").splitlines()
    assert [json.loads(line)["seed"] for line in said[:2]] == [7, 7]
    run(folder, "sample", "names", "--lines", "3", "--out", "lines.txt")
    assert len((folder / "lines.txt").read_text("utf-8").splitlines()) == 3
    run(
        folder,
        "sample",
        "notes",
        "--num-samples",
        "2",
        "--prompt",
        "The",
        "--temperature",
        "9",
        "--out",
        "two.txt",
    )
    first, second = (folder / "two.txt").read_text("utf-8").removesuffix("\n").split("\n" + "-" * 20 + "\n")
    assert first.startswith("The") and second.startswith("The") and first != second


def test_until_keeps_its_text_and_stop_does_not(folder: Path) -> None:
    options = ("sample", "notes", "--prompt", "The", "--temperature", "0", "--seed", "1")
    whole = run(folder, *options)
    end = whole[5]  # a character that comes
    until, stop = run(folder, *options, "--until", end), run(folder, *options, "--stop", end)
    assert until == stop.removesuffix("\n") + end + "\n" and whole.startswith(until.removesuffix("\n"))
    assert run(folder, *options, "--until", end, "--no-prompt") == until.removeprefix("The")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lines", "0"], "--lines: must be at least 1, got 0"),
        (["--lines", "3", "--stop", "x"], "takes no --stop"),
        (["--lines", "3", "--num-samples", "2"], "takes no --num-samples"),
        (["--until", ""], "empty string"),
        (["--out", "missing/file.txt"], "cannot be written"),
    ],
)
def test_wrong_use(folder: Path, arguments: list[str], says: str) -> None:
    assert says in run(folder, "sample", "names", "--max-new-tokens", "5", *arguments, code=2)
