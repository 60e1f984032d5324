"""What was counted for a text is kept, used again, and never trusted blindly."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from glassgpt.data import Corpus
from glassgpt.diagnose import FULL, baselines, limits
from glassgpt.tasks import counted
from glassgpt.tasks.counted import text_scores

CORPUS = Corpus.from_text("".join(f"{i} geese and {i * 7 % 31} swans, {i % 5} herons.\n" for i in range(600)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """The limits of each count; the cache is empty."""
    found: list[object] = []

    def count(corpus: Corpus, limits: object) -> object:
        found.append(limits)
        return baselines(corpus, limits)  # pyright: ignore

    monkeypatch.setattr(counted, "baselines", count)
    monkeypatch.setattr(counted, "user_cache_path", lambda _: tmp_path / "cache")
    return found


def the_file(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache/baselines").iterdir()
    return file


def test_the_second_run_reads_what_the_first_counted(calls: list[object]) -> None:
    first = text_scores(CORPUS)
    assert text_scores(CORPUS) == first == baselines(CORPUS)
    assert text_scores(CORPUS, minutes=0.1) == first  # this text is counted whole in any time
    assert len(calls) == 1
    other = Corpus.from_text(CORPUS.train.read() + CORPUS.val.read() + "!")
    assert text_scores(other) != first and len(calls) == 2


def test_another_version_counts_again(calls: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    text_scores(CORPUS)
    monkeypatch.setattr(counted, "_version", lambda: "another")
    text_scores(CORPUS)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"[]", b"{}", b'{"scores": []}', b'{"scores": [1]}', b'{"scores": [{"name": "x"}]}', b"\xff"],
)
def test_a_damaged_file_is_counted_again(calls: list[object], tmp_path: Path, content: bytes) -> None:
    first = text_scores(CORPUS)
    the_file(tmp_path).write_bytes(content)
    assert text_scores(CORPUS) == first and len(calls) == 2
    assert text_scores(CORPUS) == first and len(calls) == 2


@pytest.mark.parametrize(
    "change", [{"total_nats": 1e999}, {"n_chars": 7}, {"n_chars": 0}, {"total_nats": "x"}, {"parts": ["x"]}]
)
def test_figures_that_cannot_be_are_counted_again(
    calls: list[object], tmp_path: Path, change: dict[str, object]
) -> None:
    first = text_scores(CORPUS)
    rows = json.loads(the_file(tmp_path).read_text())["scores"]
    the_file(tmp_path).write_text(json.dumps({"scores": [rows[0] | change, *rows[1:]]}))
    assert text_scores(CORPUS) == first and len(calls) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_what_others_may_change_is_not_read(calls: list[object], tmp_path: Path) -> None:
    text_scores(CORPUS)
    the_file(tmp_path).chmod(0o666)
    text_scores(CORPUS)
    target = tmp_path / "elsewhere.json"
    the_file(tmp_path).rename(target)
    (tmp_path / "cache/baselines" / "x").unlink(missing_ok=True)
    name = counted._file(CORPUS, [str(CORPUS.train.n_bytes)] * 2)
    name.symlink_to(target)
    text_scores(CORPUS)
    assert len(calls) == 3


def test_a_cache_that_cannot_be_written_changes_nothing(calls: list[object], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert text_scores(CORPUS) == baselines(CORPUS)


def test_a_short_run_counts_less_of_a_large_text_and_says_so() -> None:
    short = limits(6, CORPUS.val.n_bytes)
    assert short.ngram_bytes < FULL.ngram_bytes and limits(60, CORPUS.val.n_bytes) == FULL
    rows = baselines(CORPUS, short._replace(ngram_bytes=4096, xz_bytes=4096))
    assert "counted on the last 0.00391 MiB" in rows[1].detail and "its last 0.00391 MiB" in rows[-1].detail
    assert rows[1].total_nats != baselines(CORPUS)[1].total_nats


def test_a_crowded_machine_counts_less(monkeypatch: pytest.MonkeyPatch, calls: list[object]) -> None:
    asked: list[float] = []
    monkeypatch.setattr(counted, "limits", lambda seconds, n_val: asked.append(seconds) or FULL)
    monkeypatch.setattr(counted, "crowding", lambda: 4.5)
    text_scores(CORPUS, minutes=1)
    assert asked == [6.0, 1.5]


def test_crowding_is_wall_time_over_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    monkeypatch.setattr(counted.time, "monotonic", lambda: 3 * (started + counted.time.thread_time()))
    assert counted.crowding(0.01) == pytest.approx(3, rel=0.01)


def test_other_tasks_count_as_much_as_the_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "crowding", lambda: 1.0)
    minute, half = counted.counting_bytes(1), counted.counting_bytes(1, passes=2)
    assert minute == 2 * half < counted.counting_bytes(None)
    monkeypatch.setattr(counted, "crowding", lambda: 2.1)
    assert counted.counting_bytes(1) == half
