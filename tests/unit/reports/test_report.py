"""Reports: one page without requests, from whole and damaged runs, whose every number is checked."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import glassgpt as gg
from glassgpt.checkpoint import Run
from glassgpt.cli.main import main
from glassgpt.reports import check, check_report, report
from glassgpt.reports.attention_map import png
from glassgpt.reports.details import train_command
from helpers.explain_runs import small_run

SECTIONS = ["verdict", "curve", "samples", "findings", "inside", "data", "settings", "machine", "repeat"]
LINES = [f"Line {i}: the cat of {i * 7 % 31} sang {i * i} songs, and slept.\n" for i in range(500)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a forecast, and a sample that copies."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "songs.txt").write_text("".join(LINES), "utf-8")
    settings = {"size": "nano", "steps": 6, "split": "end", "evals": 3, "sample_tokens": 40, "block_size": 64}
    gg.train(str(folder / "songs.txt"), out=folder / "run", autopilot=False, **settings)
    last = max((folder / "run" / "samples").glob("*.txt"))
    last.write_text(f"<script>alert(1)</script> & {LINES[41]}and so on", "utf-8")
    forecasts = [{"progress": 0.1, "nats_per_char": 3.21, "low": 2.9, "high": 3.6}]
    (folder / "run" / "forecast.json").write_text(json.dumps({"forecasts": forecasts}), "utf-8")
    return folder


class Tags(HTMLParser):
    """Tags and attributes of a page; raises for a tag that is closed in the wrong order."""

    VOID = ("meta", "link", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def sections(html: str) -> list[str]:
    return re.findall(r'<section id="r1-([a-z]+)">', html)


def test_a_page_loads_nothing_and_says_the_verdict_first(folder: Path) -> None:
    began = time.thread_time()
    html = report(folder / "run").html
    assert time.thread_time() - began < 5  # 0.3 s; the CPU time, since other work may slow the machine
    tags = Tags(html)
    assert len(html.encode()) < 1e6
    for tag, attributes in tags.seen:
        assert tag not in ("script", "iframe", "object", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "href") or str(value).startswith("data:")
    assert "url(" not in html and "@import" not in html and "http" not in html
    verdict = Run(folder / "run").verdict()
    assert verdict is not None
    said = verdict.sentence.replace("`", "")
    assert said in tags.text and tags.text.index(said) < tags.text.index("nats/char")
    assert [each for each in sections(html) if each != "forecast"] == SECTIONS
    assert "outside the interval" in tags.text or "inside the interval" in tags.text


def test_model_text_is_escaped_and_copied_passages_are_marked(folder: Path) -> None:
    html = report(folder / "run").html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert re.search(rf"<mark[^>]*>[^<]*{re.escape(LINES[41].strip())}", html)
    assert "line 42 of songs.txt" in html


def test_another_language_and_several_runs(folder: Path) -> None:
    html = report(folder / "run", lang="zh").html
    assert '<html lang="zh-CN">' in html and "学习曲线" in html
    shutil.copytree(folder / "run", folder / "twin", dirs_exist_ok=True)
    both = report(folder / "run", folder / "twin", out=folder / "both.html")
    Tags(both.html)
    assert "2 runs" in both.html and 'id="r2-verdict"' in both.html
    assert check_report(folder / "both.html") == []


def test_notes_of_a_stored_verdict_are_translated(folder: Path) -> None:
    html = report(folder / "run", lang="zh").html
    assert "重叠的窗口" in html and "overlapping windows" not in html


def test_a_note_about_baselines_without_a_row_is_translated(folder: Path) -> None:
    run = folder / "note"
    shutil.copytree(folder / "run", run)
    about = json.loads((run / "verdict.json").read_text())
    left_out = "a uniform guess among 65 characters, the file compressor xz"
    about["notes"] = [f"no row for {left_out}: only the loss on the whole held-out text is known"]
    (run / "verdict.json").write_text(json.dumps(about))
    html = report(run, lang="zh").html
    assert "在 65 个字符中均匀猜测" in html and left_out not in html
    assert left_out in report(run).html
    assert "设备" in html and "验证集损失" in html


def test_a_time_has_one_forecast_and_only_the_end_is_100_percent(folder: Path) -> None:
    run = folder / "forecasts"
    shutil.copytree(folder / "run", run)
    stored = [
        {"progress": progress, "nats_per_char": nats, "low": 1.0, "high": 3.0}
        for progress, nats in [(0.0, 2.11), (0.996, 2.22), (1.0, 2.33), (1.0, 2.44)]
    ]
    Run(run).forecast_file.write_text(json.dumps({"forecasts": stored}))
    text = Tags(report(run).html).text
    assert re.findall(r"(\d+%)\s*(2\.\d{3})", text) == [("0%", "2.110"), ("99%", "2.220"), ("100%", "2.440")]


def test_every_mutated_number_is_caught(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = report(folder / "run", out=folder / "page.html").save(folder / "page.html")
    assert check_report(path) == []
    again = check.report(folder / "run", shown=[str(folder / "run")])
    monkeypatch.setattr(check, "report", lambda *runs, **options: again)
    html, rng = path.read_text("utf-8"), random.Random(0)
    start = html.index("</head>")
    digits = [at for at, char in enumerate(html) if at > start and char.isdigit()]
    for at in rng.sample(digits, 200):
        other = rng.choice([digit for digit in "0123456789" if digit != html[at]])
        path.write_text(f"{html[:at]}{other}{html[at + 1 :]}", "utf-8")
        found = check_report(path)
        assert len(found) == 1 and found[0].found != found[0].expected
        assert other in found[0].found


def test_a_changed_run_fails_the_check(folder: Path) -> None:
    shutil.copytree(folder / "run", folder / "changed")
    report(folder / "changed", out=folder / "changed.html")
    about = json.loads((folder / "changed" / "verdict.json").read_text())
    about["model"]["total_nats"] *= 1.01
    (folder / "changed" / "verdict.json").write_text(json.dumps(about))
    assert check_report(folder / "changed.html")[0].section == ""  # the first sentence
    assert "r1-verdict" in {each.section for each in check_report(folder / "changed.html")}


def delete(name: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def spoil(name: str, text: str = "{") -> Callable[[Path], None]:
    def change(run: Path) -> None:
        for file in run.glob(name):
            file.write_text(text)

    return change


DAMAGE = {
    "no verdict": (delete("verdict.json"), "verdict", "there is no ranking"),
    "spoiled verdict": (spoil("verdict.json"), "verdict", "there is no ranking"),
    "no metrics": (delete("metrics.jsonl"), "curve", "there is no curve"),
    "spoiled metrics": (
        spoil("metrics.jsonl", '{"event": "eval", "step": [], "loss": "x"}\n'),
        "curve",
        "no curve",
    ),
    "no checkpoints": (delete("checkpoints"), "machine", "This part is left out"),
    "damaged step": (spoil("checkpoints/*/model.safetensors"), "inside", "This part is left out"),
    "no data": (delete("data"), "samples", "Copied passages are not marked"),
    "no tokenizer": (delete("tokenizer.json"), "data", "This part is left out"),
    "spoiled manifest": (
        spoil("data/manifest.json", '{"train": 3, "val": []}'),
        "data",
        "This part is left out",
    ),
    "spoiled forecast": (spoil("forecast.json", '{"forecasts": [3]}'), "verdict", "nats"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_left_of_a_damaged_run_is_shown(name: str, folder: Path, tmp_path: Path) -> None:
    change, section, said = DAMAGE[name]
    shutil.copytree(folder / "run", tmp_path / "run")
    change(tmp_path / "run")
    report(tmp_path / "run", out=tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text("utf-8")
    Tags(html)
    part = html.partition(f'id="r1-{section}"')[2].partition("</section>")[0]
    assert said in part
    assert check_report(tmp_path / "page.html") == []


def test_a_run_whose_configuration_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    spoil("config.json")(tmp_path / "run")
    assert "config.json of this run cannot be read" in report(tmp_path / "run").html


def test_a_model_of_pairs_shows_its_alignment(tmp_path: Path) -> None:
    html = report(small_run(tmp_path, "seq2seq")).html
    assert "Alignment" in html and "Its answer" in html
    (tmp_path / "bigram").mkdir()
    assert "inside" not in sections(report(small_run(tmp_path / "bigram", "bigram")).html)


def test_an_image_is_a_png() -> None:
    from io import BytesIO

    from PIL import Image

    for channels, mode in ((1, "L"), (3, "RGB")):
        pixels = np.random.default_rng(0).integers(0, 256, (channels, 5, 7)).astype(np.uint8)
        image = Image.open(BytesIO(png(pixels)))
        assert image.mode == mode
        assert (np.asarray(image).reshape(5, 7, channels) == pixels.transpose(1, 2, 0)).all()


def test_the_command_repeats_the_settings(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    run = Run(folder / "run")
    words = train_command(run).split()[1:]
    main([*words, "--no-autopilot", "--dry-run", "--json"])
    settings = json.loads(capsys.readouterr().out)["settings"]
    stored = run.config().model_dump(mode="json")
    for name, setting in settings.items():
        table, _, field = name.partition(".")
        found = stored[table][field] if field else stored[table]
        assert found is None or setting["value"] == found, name


def test_the_command_line_writes_and_checks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = folder / "cli.html"
    main(["report", str(folder / "run"), "--out", str(page)])
    assert "kB" in capsys.readouterr().out
    main(["report", "--check", str(page)])
    assert "every number is that of the run" in capsys.readouterr().out
    html = page.read_text("utf-8")
    page.write_text(html.replace("nats per character", "nats per character 7", 1), "utf-8")
    with pytest.raises(SystemExit) as end:
        main(["report", "--check", str(page)])
    assert end.value.code == 1 and "the run gives" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report"], "no run is given"),
        (["report", "nowhere"], "nowhere"),
        (["report", "--check", "songs.txt"], "no report of GlassGPT"),
        (["report", "--check", "nothing.html"], "nothing.html"),
        (["report", "run", "--check", "songs.txt", "--out", "x"], "takes no --out"),
    ],
)
def test_bad_input_is_named(
    words: list[str],
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2 and said in " ".join(capsys.readouterr().err.split())


def test_a_missing_extra_gives_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from glassgpt.reports import page

    page._template.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SystemExit):
        main(["report", str(folder / "run")])
    assert "pip install 'glassgpt[report]'" in capsys.readouterr().err


def test_a_notebook_shows_the_page_in_a_frame_without_rights(folder: Path) -> None:
    shown = report(folder / "run")._repr_html_()
    assert shown.startswith("<iframe sandbox ") and "<script" not in shown
