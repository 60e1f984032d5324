"""The copying meter: exact matches, spans, and the score next to held-out text."""

from __future__ import annotations

import random
import shutil
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from glassgpt.diagnose import Copying, Finding, build_index, longest_matches, measure_copying, open_index
from glassgpt.diagnose.copying import suffixes
from glassgpt.errors import UserError
from helpers.brute_force import brute_force

ALPHABETS = ("ab", "abcd\n", "é中a𝄞", "aé\u4e2d\u4e2e", "the cat sat on a mat. ")


def random_case(seed: int) -> tuple[str, str, int]:
    """Return a training text, a text with passages of it, and the bytes of a chunk."""
    rng = random.Random(seed)
    letters = rng.choice(ALPHABETS)
    train = "".join(rng.choices(letters, k=rng.choice([1, 7, 60, 400])))
    if rng.random() < 0.3:
        train *= rng.choice([2, 3, 11])
    text = "".join(rng.choices(letters + "zß", k=rng.choice([1, 20, 90])))
    for _ in range(rng.choice([0, 1, 3])):
        start, at = rng.randrange(len(train)), rng.randrange(len(text) + 1)
        text = text[:at] + train[start : start + rng.choice([3, 40, 64, 65, 200])] + text[at:]
    return train, text, rng.choice([16, 50, 1 << 20])


def check(folder: Path, seed: int) -> None:
    train, text, chunk = random_case(seed)
    index = build_index(folder, [train.encode()], "a key", chunk)
    found = longest_matches(index, text)
    assert found.lengths.tolist() == brute_force(train, text), seed
    data = train.encode()
    for start, (length, offset) in enumerate(zip(found.lengths, found.offsets, strict=True)):
        passage = text[start : start + length].encode()
        assert data[offset : offset + len(passage)] == passage
    for span in found.spans(3):
        assert span.count == sum(train.startswith(span.text, i) for i in range(len(train)))


def test_matches_are_those_of_brute_force(tmp_path: Path) -> None:
    for seed in range(200):
        check(tmp_path / "index", seed)


@pytest.mark.slow
def test_matches_of_a_thousand_cases_are_those_of_brute_force(tmp_path: Path) -> None:
    for seed in range(1000):
        check(tmp_path / "index", seed)


def words(n: int, seed: int) -> str:
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(900)]
    return " ".join(random.Random(seed + 1).choices(vocabulary, k=n))


def test_planted_passages_are_all_found(tmp_path: Path) -> None:
    train = words(30_000, 1)
    index = build_index(tmp_path / "index", [train.encode()], "")
    rng = random.Random(2)
    for i in range(50):
        start, length = rng.randrange(len(train) - 400), rng.randint(50, 300)
        passage, about = train[start : start + length], words(60, 100 + i)
        text = f"{about}#{passage}#{about}"
        found = measure_copying(index, text)
        begin = len(about) + 1
        assert [(s.start, s.stop) for s in found.spans if s.start == begin] == [(begin, begin + length)]
        assert found.score.longest == length
        assert found.score.share == pytest.approx(length / len(text))


def test_a_long_copy_is_one_passage_and_found_at_once(tmp_path: Path) -> None:
    train = words(40_000, 1)
    index = build_index(tmp_path / "index", [train.encode()], "", 1 << 16)
    copy = train[3000:203_000]
    began = time.process_time()
    found = longest_matches(index, f"#{copy}#{copy[:70_000]}")
    assert time.process_time() - began < 5  # it took minutes: each character was searched for on its own
    assert [(span.start, span.stop) for span in found.spans(50)] == [(1, 200_001), (200_002, 270_002)]


def test_new_text_of_the_same_kind_scores_as_held_out_text_does(tmp_path: Path) -> None:
    rng = random.Random(3)
    text = " ".join(rng.choices(words(900, 1).split(), k=60_000))
    train, held_out, new = text[:200_000], text[200_000:280_000], text[280_000:300_000]
    index = build_index(tmp_path / "index", [train.encode()], "")
    found = measure_copying(index, new, held_out)
    assert found.ratio is not None and 0.9 < found.ratio < 1.1
    copied = measure_copying(index, train[:20_000], held_out)
    assert copied.ratio is not None and copied.ratio > 100


def test_a_passage_that_the_training_text_repeats_is_a_phrase_of_it(tmp_path: Path) -> None:
    phrase = "It is a truth universally acknowledged that "
    train = (
        "".join(phrase + str(i) + " " for i in range(20))
        + "a passage that stands here exactly once, for all time"
    )
    index = build_index(tmp_path / "index", [train.encode()], "")
    found = measure_copying(index, f"#{phrase}# stands here exactly once, for all time#")
    assert [span.text for span in found.phrases] == [phrase]
    assert [span.text for span in found.spans] == [" stands here exactly once, for all time"]
    assert found.score.longest == len(" stands here exactly once, for all time")


def test_an_index_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(data: bytes) -> np.ndarray:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(suffixes, "_sorter", lambda: fails)
    with pytest.raises(UserError, match="No space left"):
        build_index(tmp_path / "index", [b"some text"], "")
    assert list(tmp_path.iterdir()) == []


def test_the_memory_of_a_chunk_is_free_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sorted_before = suffixes._sorter(), list[weakref.ref[np.ndarray]]()

    def sort(data: bytes) -> np.ndarray:
        assert not [each for each in sorted_before if each() is not None]
        order = real(data)
        sorted_before.append(weakref.ref(order))
        return order

    monkeypatch.setattr(suffixes, "_sorter", lambda: sort)
    build_index(tmp_path / "index", [b"some text, and more of it"], "", 8)
    assert len(sorted_before) == 4


def test_a_damaged_or_foreign_index_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build_index(folder, [b"some text, and more of it"], "mine")
    with pytest.raises(UserError, match="another text"):
        open_index(folder, "yours")
    for name in ("text.bin", "suffixes.bin"):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / name).write_bytes(b"short")
        with pytest.raises(UserError, match="damaged"):
            open_index(tmp_path / name, "mine")
    numbers = np.fromfile(folder / "suffixes.bin", "<u4")
    (numbers + 4_000_000_000).astype("<u4").tofile(folder / "suffixes.bin")  # a stranger's
    longest_matches(open_index(folder, "mine"), "some text")


def test_a_character_costs_at_most_9_bytes(tmp_path: Path) -> None:
    for letter in ("a", "é", "中", "𝄞"):
        build_index(tmp_path / letter, [(letter * 5000).encode()], "")
        assert sum(file.stat().st_size for file in (tmp_path / letter).iterdir()) < 9 * 5000 + 500


def test_the_extra_is_named_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydivsufsort", None)
    with pytest.raises(UserError, match=r"glassgpt\[copying\]"):
        build_index(tmp_path / "index", [b"text"], "")


def test_figures_survive_a_file_and_marks_are_escaped(tmp_path: Path) -> None:
    train = "<b>bold</b> & brave, as everybody here says, and nobody else"
    index = build_index(tmp_path / "index", [train.encode()], "")
    found = measure_copying(index, f"x{train}x", train[::-1] * 9)
    assert Copying.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert "&lt;b&gt;" in found._repr_html_() and "<b>" not in found._repr_html_()
    assert f"{len(train)} characters" in str(found)


def test_a_finding_shows_itself_in_a_notebook() -> None:
    shown = Finding("loss <b>", 1.5, 1.25, "fail", "train longer")._repr_html_()
    assert "✗ loss &lt;b&gt;" in shown and "1.25" in shown and "train longer" in shown
