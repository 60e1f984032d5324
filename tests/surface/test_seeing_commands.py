"""`glassgpt look` and `glassgpt explain`, as someone types them: what is printed, written and refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run
from glassgpt.data import open_examples, write_image
from glassgpt.explain import NAMES
from glassgpt.explain.context import BUILTIN
from glassgpt.lens import Trace
from helpers.commands import run

DATES, TEXT, SCENES = (str(BUILTIN / name) for name in ("dates", "text", "scenes"))
MARCH = "de: 14. März 2024"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    write_image(open_examples(Run.open(SCENES).data).val.images[0], path)
    return path


def test_a_text_is_looked_into(tmp_path: Path) -> None:
    out = run(tmp_path, "look", TEXT, "To be, or not to be")
    assert "next token" in out and "--out heads.svg" in out
    heads = re.compile(r"^.* [0-3] +[a-z ]+(?: \d\.\d\d)+.* \d+\.\d$", re.MULTILINE)
    assert len(heads.findall(out)) == 8
    assert len(heads.findall(run(tmp_path, "look", TEXT, "To be", "--layer", "1"))) == 4


def test_one_head_is_shown_cell_by_cell(tmp_path: Path) -> None:
    out = run(tmp_path, "look", TEXT, "To be", "--layer", "0", "--head", "1")
    assert "blocks.0.attn, head 1" in out and "1.00" in out
    long = run(tmp_path, "look", DATES, MARCH, "--layer", "0", "--head", "1")
    assert re.search(r"^ *5 +0 +8 M 0\.\d+", long, re.MULTILINE)  # place 5 writes 0, looks at place 8


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
@pytest.mark.parametrize("view", [None, "heads", "head", "graph", "alignment", "logit-lens"])
def test_every_view_of_a_translation_is_drawn(tmp_path: Path, view: str | None, suffix: str) -> None:
    if suffix != "svg" and view not in (None, "graph"):
        pytest.skip("other kinds of file are tested on two views")
    words = ["--view", view] if view else []
    assert "plot" in run(tmp_path, "look", DATES, MARCH, *words, "--out", f"deep/a.{suffix}")
    assert (tmp_path / "deep" / f"a.{suffix}").stat().st_size > 5_000


def test_an_image_is_asked(tmp_path: Path, image: Path) -> None:
    question = "what is at the top left?"
    out = run(tmp_path, "look", SCENES, question, "--image", str(image), "--out", "where.png")
    assert re.search(r"it writes +\S{1,7}\n", out) and (tmp_path / "where.png").stat().st_size > 5_000


def test_a_trace_and_json_can_be_read_by_programs(tmp_path: Path) -> None:
    out = run(tmp_path, "look", DATES, MARCH, "--json", "--trace", "t.safetensors", "--precision", "float32")
    found = json.loads(out)
    assert "".join(found["next_tokens"]) == "2024-03-14<eos>" and len(found["heads"]) == 24
    assert Trace.load(tmp_path / "t.safetensors").tokens == tuple(found["tokens"])


def test_hiding_a_word(tmp_path: Path) -> None:
    assert "2024-03-14" in run(tmp_path, "look", DATES, MARCH)
    assert "2024-03-14" not in run(tmp_path, "look", DATES, MARCH, "--hide", "März")


def test_heads_are_ablated(tmp_path: Path) -> None:
    out = run(tmp_path, "look", TEXT, "--ablate")
    assert "(all heads on)" in out and out.count("+0.") == 8
    found = json.loads(run(tmp_path, "look", TEXT, "--ablate", "--json"))
    assert len(found["without"]) == 8 and found["all heads"]["nats/token"] < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([TEXT], "at least one token"),
        ([TEXT, "a" * 65], "sees 64"),
        ([TEXT, "abc", "--layer", "7"], "layers 0 to 1"),
        ([TEXT, "abc", "--layer", "0", "--head", "9"], "no head 9"),
        ([TEXT, "abc", "--kind", "cross", "--layer", "0"], "no cross"),
        ([TEXT, "abc", "--view", "alignment", "--out", "a.svg"], "no cross-attention"),
        ([DATES, MARCH, "--view", "image", "--out", "a.svg"], "no image"),
        ([TEXT, "abc", "--head", "1"], "the layer is missing"),
        ([TEXT, "abc", "--view", "graph"], "--out"),
        ([TEXT, "abc", "--view", "reading"], "--view reading is now --view logit-lens"),
        ([TEXT, "abc", "--target", "b"], "takes no target"),
        ([TEXT, "abc", "--ablate"], "takes no text"),
        ([TEXT, "abc", "--out", "a.bmp"], "svg"),
        ([TEXT, "abc", "--hide", "a"], "no source"),
        ([DATES, ""], "Pass a text to translate"),
        ([DATES, MARCH, "--hide", "April"], "does not occur"),
        ([SCENES, "what?"], "looks at an image"),
        ([SCENES, "what?", "--image", "missing.png"], "missing.png"),
        (["nowhere", "abc"], "is not a run"),
    ],
)
def test_what_cannot_be_looked_at_is_said_and_nothing_written(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in run(tmp_path, "look", *arguments, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("remembered_climbs")
@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_is_read_and_drawn(tmp_path: Path, name: str) -> None:
    out = run(tmp_path, "explain", name, "--lang", "en", "--plot", "a.png")
    assert "measured" in out and "✓" in out and "✗" not in out
    assert (tmp_path / "a.png").stat().st_size > 5_000
    found = json.loads(run(tmp_path, "explain", name, "--lang", "en", "--json"))
    assert found["name"] == name and found["text"] and found["findings"]
    assert found["exercises"] and any(cell.get("output") for cell in found["cells"])


def test_chapters_are_listed(tmp_path: Path) -> None:
    out = run(tmp_path, "explain", "--lang", "en")
    assert re.findall(r"^(\S+) ", out, re.MULTILINE)[: len(NAMES)] == list(NAMES)
    assert list(json.loads(run(tmp_path, "explain", "--json", "--lang", "zh"))) == list(NAMES)


def test_a_chapter_looks_at_the_run_that_is_given_or_says_why_not(tmp_path: Path) -> None:
    out = run(tmp_path, "explain", "temperature", "--run", TEXT, "--lang", "en", "--json")
    assert TEXT in out and "built-in" not in out
    out = run(tmp_path, "explain", "temperature", "--run", SCENES, "--lang", "en", "--json")
    assert f"{SCENES} is a captioner and cannot show this" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["los"], "did you mean loss?"),
        (["loss", "--run", "nowhere"], "is not a run"),
        (["loss", "--lang", "de"], "lang"),
        (["loss", "--plot", "a.gif"], "svg"),
        (["--plot", "a.svg"], "Name one"),
        (["--code"], "Name one"),
        (["loss", "--code", "--json"], "Choose one"),
    ],
)
def test_what_cannot_be_explained_is_said(tmp_path: Path, arguments: list[str], message: str) -> None:
    assert message in run(tmp_path, "explain", *arguments, code=2)


def test_the_code_of_a_chapter_runs_by_itself(tmp_path: Path) -> None:
    code = run(tmp_path, "explain", "loss", "--code", "--lang", "en")
    assert code.startswith("# %% [markdown]\n# # The cost of a guess") and "F.cross_entropy" in code
    assert code == run(tmp_path, "explain", "loss", "--code", "--lang", "en", "--run", TEXT).replace(
        f"RUN = {TEXT!r}", 'RUN = BUILTIN / "text"'
    )
    out = run(tmp_path, "explain", "loss", "--lang", "en")
    assert "→ A uniform guess over 65 tokens costs 4.17 nats: ln 65." in out
    assert "logits = torch.zeros(1, V)" in out and "print(" not in out


def test_a_notebook_is_written_once(tmp_path: Path) -> None:
    assert "book.ipynb" in run(tmp_path, "explain", "loss", "--notebook", "a/book.ipynb", "--lang", "zh")
    book = json.loads((tmp_path / "a" / "book.ipynb").read_text("utf-8"))
    assert book["nbformat"] == 4 and "猜一次的代价" in book["cells"][0]["source"][0]
    assert "exists" in run(tmp_path, "explain", "loss", "--notebook", "a/book.ipynb", code=2)
    assert ".ipynb" in run(tmp_path, "explain", "loss", "--notebook", "book.txt", code=2)


def test_answers_are_checked(tmp_path: Path) -> None:
    assert "Right: 0.1054" in run(tmp_path, "explain", "loss", "--answer", "1", "0.105", "--lang", "en")
    assert "in bits" in run(tmp_path, "explain", "loss", "--answer", "1", "0.152", "--lang", "en", code=1)
    assert "no exercise 9" in run(tmp_path, "explain", "loss", "--answer", "9", "1", code=2)
    (tmp_path / "mine.py").write_text(
        "import torch.nn.functional as F\ndef cross_entropy(z, y):\n    return F.cross_entropy(z, y)\n"
    )
    assert "Right" in run(tmp_path, "explain", "loss", "--answer", "2", "mine.py", "--lang", "en")
    (tmp_path / "none.py").write_text("x = 1\n")
    assert "no function" in run(tmp_path, "explain", "loss", "--answer", "2", "none.py", code=2)
    (tmp_path / "bad.py").write_text("1 / 0\n")
    assert "ZeroDivisionError" in run(tmp_path, "explain", "loss", "--answer", "2", "bad.py", code=2)
    assert "no.py" in run(tmp_path, "explain", "loss", "--answer", "2", "no.py", code=2)


def test_without_matplotlib_numbers_still_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("glassgpt.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "glassgpt.plots.traces", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "✓" in run(tmp_path, "explain", "loss", "--lang", "en")
    assert "next token" in run(tmp_path, "look", TEXT, "abc")
    assert "glassgpt[plot]" in run(tmp_path, "explain", "loss", "--plot", "a.png", code=2)
    assert "glassgpt[plot]" in run(tmp_path, "look", TEXT, "abc", "--out", "a.png", code=2)
