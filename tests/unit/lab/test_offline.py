"""The offline file: the recorder's numbers, harmless text, no address, a bounded size."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glassgpt as gg
from glassgpt.cli.main import main
from glassgpt.lab import offline, write_page
from helpers.lab_runs import empty_page

SCRIPT = 'const a = "</script><!-- <script>";'


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = empty_page(tmp_path / "page")
    (folder / "lab.js").write_text(SCRIPT, "utf-8")
    monkeypatch.setattr(offline, "page_folder", lambda tell: folder)
    return folder


def part(html: str, id: str) -> str:
    found = re.search(rf'<script type="[a-z/]+" id="{id}">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return found[1]


def tensors(html: str) -> dict[str, torch.Tensor]:
    blob = base64.b64decode(part(html, "blob"))
    header: dict[str, Any] = json.loads(part(html, "header"))
    found = {}
    for each in header["tensors"]:
        piece = blob[each["offset"] : each["offset"] + each["bytes"]]
        found[each["name"]] = torch.from_numpy(np.frombuffer(piece, "<f4").reshape(each["shape"]).copy())
    return found


def test_every_tensor_is_the_recorders(page: Path, lab_runs: Path, tmp_path: Path) -> None:
    model, tokenizer = gg.load_run(lab_runs / "text")
    seen = gg.trace(model, tokenizer, "the moon")
    html = write_page(seen, model, tokenizer, tmp_path / "a.html", view="walk").read_text("utf-8")
    found = tensors(html)
    for name, value in seen.tensors.items():
        assert torch.equal(found[name], value.float()), name
    assert json.loads(part(html, "view")) == "walk"
    assert len(json.loads(part(html, "vocabulary"))) == tokenizer.n_vocab


def test_text_of_a_model_is_never_markup(page: Path, lab_runs: Path, tmp_path: Path) -> None:
    model, tokenizer = gg.load_run(lab_runs / "text")
    text = "</script><script>alert(1)</script><!--"
    seen = gg.trace(model, tokenizer, text)
    html = write_page(seen, model, tokenizer, tmp_path / "a.html").read_text("utf-8")
    assert len(re.findall("<script", html, re.IGNORECASE)) == 5 and "<!--" not in html
    header = json.loads(part(html, "header"))
    assert "".join(token["text"] for token in header["tokens"]) == text
    assert html.count("</script>") == 5
    assert not re.search(r"https?://", html) and "default-src 'none'" in html


def test_optional_tensors_leave_a_large_file(
    page: Path, lab_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = gg.load_run(lab_runs / "text")
    seen = gg.trace(model, tokenizer, "the moon")
    monkeypatch.setattr(offline, "GOAL", 0)
    html = write_page(seen, model, tokenizer, tmp_path / "a.html").read_text("utf-8")
    names = set(tensors(html))
    assert "blocks.0.attn.weights" in names and not any(
        name.startswith(("lens.", "weights.")) for name in names
    )
    monkeypatch.setattr(offline, "LIMIT", 1000)
    with pytest.raises(gg.UserError, match="shorter text"):
        write_page(seen, model, tokenizer, tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()


def test_a_file_that_cannot_be_written(page: Path, lab_runs: Path, tmp_path: Path) -> None:
    model, tokenizer = gg.load_run(lab_runs / "bigram")
    seen = gg.trace(model, tokenizer, "the moon")
    (tmp_path / "file").touch()
    with pytest.raises(gg.UserError, match="cannot be written"):
        write_page(seen, model, tokenizer, tmp_path / "file" / "a.html")


@pytest.mark.parametrize("options", [["--html", "a.png"], ["--html", "a.html", "--ablate"]])
def test_unusable_options(options: list[str], lab_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = [] if "--ablate" in options else ["the moon"]
    with pytest.raises(SystemExit) as end:
        main(["look", str(lab_runs / "text"), *text, *options])
    assert end.value.code == 2 and "--html a." in capsys.readouterr().err


def test_the_command_writes_the_file(
    page: Path, lab_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["look", str(lab_runs / "dates"), "3 May 1999", "--html", str(tmp_path / "out.html")])
    assert "out.html" in capsys.readouterr().out
    assert "blocks.0.cross_attn.weights" in tensors((tmp_path / "out.html").read_text("utf-8"))


def test_a_widget_holds_the_same_numbers(page: Path, lab_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = pytest.importorskip("glassgpt.lab.widget")
    monkeypatch.setattr(widget, "page_folder", lambda: page)
    shown = gg.show(lab_runs / "text", "the moon", view="walk")
    names = [each["name"] for each in shown.header["tensors"]]
    assert (
        "logits" in names
        and shown.view == "walk"
        and len(shown.blob) == sum(each["bytes"] for each in shown.header["tensors"])
    )
