"""Multi30k is what its authors published, and what is not it is refused."""

import gzip
import os
from pathlib import Path

import pytest

from glassgpt.data.datasets.multi30k import multi30k_en_de
from glassgpt.errors import UserError


@pytest.fixture
def real_files() -> Path:
    folder = Path(os.environ.get("GLASSGPT_DATA", "nowhere"), "multi30k")
    if not folder.is_dir():
        pytest.skip("GLASSGPT_DATA names no folder with multi30k")
    return folder


def test_the_splits_are_the_published_ones_and_the_text_is_exact(real_files: Path) -> None:
    corpus = multi30k_en_de()
    assert [len(split) for split in (corpus.train, corpus.val, corpus.test)] == [29_000, 1_014, 1_000]
    first = corpus.train[0]
    assert first.source == "Two young, White males are outside near many bushes."
    assert first.target == "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
    assert corpus.test[-1].where == "multi30k/test_2016_flickr.en.gz:1000"
    for split, name in ((corpus.train, "train"), (corpus.val, "val"), (corpus.test, "test_2016_flickr")):
        for language in ("en", "de"):
            texts = [pair.source if language == "en" else pair.target for pair in split]
            written = gzip.decompress((real_files / f"{name}.{language}.gz").read_bytes()).decode()
            assert "\n".join(texts) + "\n" == written


def test_a_changed_file_is_refused_by_name(
    real_files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "multi30k").mkdir()
    for path in real_files.glob("*.gz"):
        (tmp_path / "multi30k" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "multi30k/val.de.gz").write_bytes(gzip.compress(b"Ein Satz.\n"))
    monkeypatch.setenv("GLASSGPT_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"multi30k/val\.de\.gz: its SHA-256 differs"):
        multi30k_en_de()


def test_without_network_the_way_by_hand_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pooch

    asked: list[tuple[object, ...]] = []

    def fail(*given: object) -> str:
        asked.append(given)
        raise ConnectionError("no route")

    monkeypatch.setenv("GLASSGPT_DATA", str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(UserError, match=r"as multi30k/train\.en\.gz and set GLASSGPT_DATA.*'dates'"):
        multi30k_en_de()
    url, digest, name, folder = asked[0]
    assert url == "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/train.en.gz"
    assert str(digest).startswith("sha256:d79cfa99") and name == "train.en.gz"
    assert Path(str(folder)).parts[-2:] == ("glassgpt", "multi30k")  # no other set's train.en.gz
