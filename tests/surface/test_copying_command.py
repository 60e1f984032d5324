"""`glassgpt copying`, `sample --copying` and the line of the verdict."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import glassgpt as gg
from glassgpt.checkpoint import Run
from glassgpt.cli.main import main

LINES = [f"Line {i}: the {word} of {i * 7 % 31} sang {i * i} songs, and slept.\n" for i in range(400)
         for word in ("cat", "dog")]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on its text."""
    folder = tmp_path_factory.mktemp("copying")
    (folder / "songs.txt").write_text("".join(LINES), "utf-8")
    gg.train(
        str(folder / "songs.txt"), size="nano", steps=4, split="end", out=folder / "run", autopilot=False
    )
    return folder


def test_the_verdict_has_a_line_about_copying(folder: Path) -> None:
    verdict = Run(folder / "run").verdict()
    assert verdict is not None and verdict.copying is not None
    sample = max((folder / "run" / "samples").glob("*.txt")).read_bytes().decode("utf-8", "replace")
    assert verdict.copying.n_chars == len(sample)
    assert len(verdict.copying.held_out) >= 4
    assert gg.copying(Run(folder / "run"), sample).score == verdict.copying.score


def test_a_copied_passage_is_shown_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["copying", str(folder / "run"), f"Well. {LINES[101]}Indeed."])
    out = capsys.readouterr().out
    assert "line 102 of songs.txt" in " ".join(out.split())
    assert "held-out text of this length" in " ".join(out.split())
    (folder / "given.txt").write_text(LINES[7], "utf-8")
    main(["copying", str(folder / "run"), "--file", str(folder / "given.txt"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["longest"] == len(LINES[7]) and found["share"] == 1.0
    assert [span["line"] for span in found["spans"]] == [8]


def test_a_passage_is_found_in_its_document(folder: Path) -> None:
    (folder / "many").mkdir()
    for i in range(60):
        text = "".join(f"Page {i}, row {j}: number {i * 77 + j * j} of the book.\n" for j in range(33))
        (folder / "many" / f"page{i}.txt").write_text(f"{text}Ends.", "utf-8")
    gg.train(str(folder / "many"), size="nano", steps=1, out=folder / "pages", autopilot=False)
    n_found = 0
    for i in range(60):
        found = gg.copying(folder / "pages", f"Page {i}, row 30: number {i * 77 + 900} of the book.\n")
        for span in found.spans:
            if span.text.startswith(f"Page {i}, row 30") and len(span) > 35:
                n_found += 1
                assert (span.document, span.line) == (f"page{i}.txt", 31)
    assert 40 <= n_found < 60  # some pages are held out


def test_the_model_writes_if_no_text_is_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["copying", "run"], ["sample", "run", "--copying", "--seed", "1"]):
        main([words[0], str(folder / "run"), *words[2:], "--max-new-tokens", "40"])
        assert "characters on average" in " ".join(capsys.readouterr().out.split())
    assert (folder / "run" / "data" / "copying" / "index.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["copying", "run", ""], "it is empty"),
        (["copying", "run", "a", "--file", "b"], "give one of them"),
        (["copying", "run", "--file", "nothing.txt"], "nothing.txt"),
        (["copying", "run", "--max-new-tokens", "0"], "at least 1"),
        (["sample", "run", "--copying", "--json"], "takes no --json"),
        (["copying", "shared", "a text"], "holds no training data"),
    ],
)
def test_bad_input_is_named(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (folder / "shared").exists():
        gg.share(folder / "run", folder / "shared")
    with pytest.raises(SystemExit) as end:
        main([words[0], str(folder / words[1]), *words[2:]])
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_missing_extra_gives_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydivsufsort", None)
    gg.train(str(folder / "songs.txt"), size="nano", steps=1, out=folder / "plain", autopilot=False)
    verdict = Run(folder / "plain").verdict()
    assert verdict is not None and verdict.copying is None
    with pytest.raises(SystemExit):
        main(["copying", str(folder / "plain"), "a text"])
    assert "pip install 'glassgpt[copying]'" in capsys.readouterr().err


def test_the_index_of_another_text_is_made_again(folder: Path) -> None:
    about = folder / "run" / "data" / "copying" / "index.json"
    about.write_text(about.read_text().replace('"key": "', '"key": "x'), "utf-8")
    assert gg.copying(folder / "run", LINES[3]).score.longest == len(LINES[3])
