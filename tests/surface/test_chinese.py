"""Chinese throughout: help, output, errors, README and guide."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len

from glassgpt.cli.main import COMMANDS, app, main
from glassgpt.cli.parse import parse
from glassgpt.cli.view.terminal import Terminal
from glassgpt.diagnose import Score, judge
from glassgpt.errors import UserError
from glassgpt.language import N_, _, clipped, join_texts, using
from glassgpt.units import span
from glassgpt.wrap import wrapped

ROOT = Path(__file__).parents[2]
TEXT = "".join(
    f"{i} green bottles hanging on the wall, and if {i % 7} should fall, so be it.\n" for i in range(200)
)
ENGLISH = re.compile(r"(?:\b[A-Za-z][a-z']+\b ){3,}[A-Za-z][a-z']+")
"""Four English words in a row."""
BLOCK = re.compile(r"^```(sh|python|py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.zh.md", *sorted((ROOT / "docs" / "guide" / "zh").glob("*.md"))]


def english(text: str, *ours: str) -> list[str]:
    """Runs of English words, without those of the training text and of commands."""
    for each in (TEXT, *ours):
        text = text.replace(each, "")
    kept = [line for line in text.splitlines() if "glassgpt " not in line and "green" not in line]
    return [found[0] for line in kept for found in ENGLISH.finditer(line)]


@pytest.mark.parametrize("command", ["", *COMMANDS, "bench generate"])
def test_help_is_chinese_and_fits_a_terminal(command: str) -> None:
    shown = StringIO()
    with using("zh"):
        parse(app, [*command.split(), "--help-all"], Terminal(shown, width=80))()
    lines = shown.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].startswith("用法：")
    assert english(shown.getvalue()) == []


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "notes.txt").write_text(TEXT)
    return folder


def said(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints in Chinese, on both streams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        try:
            main(["--lang", "zh", *words.split()])
        except SystemExit:
            pass
    found = capsys.readouterr()
    return found.out + found.err


def test_each_command_speaks_chinese(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run from training to its verdict, and the commands that use it."""
    monkeypatch.chdir(desk)
    trained = said("train notes.txt --size nano --steps 2 --evals 1 --sample-tokens 8", capsys)
    assert "结论" in trained or "留出" in trained
    assert english(trained.partition("它写道")[0]) == []
    for words in (
        *("runs", "verify runs/notes", "look runs/notes green", "baselines notes.txt", "share runs/notes"),
        *("train notes.txt --dry-run", "resume runs/notes", "plot runs/notes", "runs nowhere"),
        *(
            "copying runs/notes the",
            "copying runs/notes --file nowhere",
            "sample runs/notes --copying --lines 2",
        ),
    ):
        assert english(said(words, capsys)) == [], words


ERRORS = (
    *("trian x", "train notes.txt --steps x", "train notes.txt --model foo", "train --steps", "runs a b"),
    *("train notes.txt --lr -1", "train notes.txt --steps 3 --minutes 2", "sample nowhere", "ask"),
    *("train notes.txt --n-head 3 --n-embd 64", "train notes.txt --epochs 3", "train nofile.txt"),
    *("sample --foo=1 x", "train --help-foo", "train --config nofile.toml", "explain nothing", "--lang de"),
)


@pytest.mark.parametrize("words", ERRORS)
def test_errors_are_chinese(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(words, capsys).replace("See `", "")
    assert re.search("[\u4e00-\u9fff]", found) or words == "--lang de"
    assert english(found) == [] or words == "--lang de"


def test_json_and_files_stay_english() -> None:
    """A verdict is English in a file, and Chinese where it is shown."""
    verdict = judge([Score("bigram", 2500.0, 1000, 1000, kind="ngram")], Score("gpt", 2400.0, 1000, 1000))
    with using("zh"):
        again = judge([Score("bigram", 2500.0, 1000, 1000, kind="ngram")], Score("gpt", 2400.0, 1000, 1000))
        assert again.to_dict() == verdict.to_dict()
        assert "二元计数表" in _(again.sentence)
    assert verdict.sentence.startswith("It is too close to tell")


def test_texts_are_translated_with_the_texts_inside() -> None:
    lines = join_texts(" or ", [N_("{n:,} rows", n=3), "x"])
    assert lines == "3 rows or x"
    error = UserError("{table}: {problem}.", table="a.csv", problem=N_("no steps"))
    short = clipped(error.message, lambda text: text.rstrip(".。"))
    assert short == "a.csv: no steps"
    with using("zh"):
        assert _(lines) == "3 行 或 x"
        assert str(error) == "a.csv：没有步。"
        assert _(short) == "a.csv：没有步"
        assert (_(span(0.5)), _(span(1)), _(span(90))) == ("30 秒", "1 分钟", "1.5 小时")
        assert _("") == ""


def test_lines_break_between_characters_but_not_before_punctuation() -> None:
    text = "温度使分布变平，或者变尖（logits 除以 T），然后再做 softmax。"
    for width in range(12, 40):
        lines = wrapped(text, width).split("\n")
        assert max(map(cell_len, lines)) <= width
        assert not [line for line in lines if line[0] in "，。）、" or line[-1] in "（"]
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def without_comments(block: str) -> str:
    return "\n".join(re.sub(r"\s\s#\s.*", "", line).rstrip() for line in block.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_have_the_code_of_the_english_ones(page: Path) -> None:
    name = "README.md" if page.name == "README.zh.md" else f"docs/guide/{page.name}"
    english_page = (ROOT / name).read_text("utf-8")
    own = [(kind, without_comments(code)) for kind, code in BLOCK.findall(page.read_text("utf-8"))]
    assert own == [(kind, without_comments(code)) for kind, code in BLOCK.findall(english_page)]


def test_readmes_name_each_other() -> None:
    assert "README.zh.md" in (ROOT / "README.md").read_text("utf-8").split("\n##")[0]
    assert "README.md" in (ROOT / "README.zh.md").read_text("utf-8").split("\n##")[0]
