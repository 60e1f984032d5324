"""The corpora that have names: what is in them, the same each time, and what happens offline."""

import hashlib
import os
import warnings
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.corpus.corpus import read_corpus
from glassgpt.data.files import corpora as named
from glassgpt.errors import UserError


def test_python_is_prose_about_python_without_copies_across_the_split() -> None:
    corpus = read_corpus(DataConfig())
    text = corpus.train.read() + corpus.val.read()
    assert 1_000_000 < len(text) < 4_000_000
    assert corpus.notes == ()
    assert "Function definitions" in text  # a topic of the language reference
    assert "Return a string containing a formatted" in text or "This module" in text  # docstrings
    # The validation split is a mixture of many sources: common words are as common in it as everywhere.
    for word in (" the ", " is ", " a "):
        everywhere = text.count(word) / len(text)
        assert corpus.val.read().count(word) / corpus.val.n_chars == pytest.approx(everywhere, rel=0.15)


def test_python_is_the_same_each_time_and_warns_of_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "old.py").write_text('"""Escapes \\d that warn."""\ndef f():\n    "One."\n')
    (tmp_path / "broken.py").write_text('"""Never closed')
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "t.py").write_text('"""A fixture."""')
    monkeypatch.setattr(named.sysconfig, "get_path", lambda _: str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = named.open_python().read()
    assert first == named.open_python().read()
    assert b"Escapes \\d that warn." in first and b"fixture" not in first


def test_a_repeated_paragraph_is_kept_once_and_a_heading_may_repeat() -> None:
    seen: set[str] = set()
    long = "A paragraph that is long enough to be a copy of another one."
    assert list(named._fresh_paragraphs([f"Examples:\n\n{long}"], seen)) == ["Examples:", long]
    assert list(named._fresh_paragraphs([f"Examples:\n\n{long}", f"{long}\nmore"], seen)) == ["Examples:"]


def test_shakespeare_comes_from_the_folder_and_is_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = os.environ.get("GLASSGPT_DATA")
    if not folder:
        pytest.skip("GLASSGPT_DATA names no folder with tinyshakespeare.txt")
    assert hashlib.sha256(named.open_shakespeare().read()).hexdigest() == named.SHAKESPEARE_SHA256
    (tmp_path / named.SHAKESPEARE_FILE).write_text("not by Shakespeare")
    monkeypatch.setenv("GLASSGPT_DATA", str(tmp_path))
    with pytest.raises(UserError, match="SHA-256 differs"):
        named.open_shakespeare()


@pytest.mark.parametrize(
    "error", [ConnectionError("no route"), ValueError("SHA256 hash of downloaded file differs")]
)
def test_without_network_the_way_by_hand_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import pooch

    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.delenv("GLASSGPT_DATA", raising=False)
    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(UserError, match=r"tinyshakespeare\.txt and set GLASSGPT_DATA"):
        named.open_shakespeare()
