"""Every family from its data to its command, and the errors for unusable data."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.commands import run

QUICK = ["--steps", "6", "--evals", "2", "--sample-tokens", "40"]
TINY = [*QUICK, "--size", "nano", "--batch-size", "8"]
NUMBERS = dict(
    zip("one two three four five six".split(), "un deux trois quatre cinq six".split(), strict=True)
)


def counted(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """A file of pairs such as ("two one", "deux un")."""
    rng = random.Random(seed)
    rows = [[rng.choice(list(NUMBERS)) for _ in range(rng.randint(1, 4))] for _ in range(n)]
    return [(" ".join(row), " ".join(NUMBERS[word] for word in row)) for row in rows]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in counted(120)))
    return path


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """40 images, dark on the left or on the right, with a question about each."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    with (folder / "captions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "question", "answer"])
        for i in range(40):
            side = ("left", "right")[i % 2]
            pixels = np.full((16, 16), 10 * (i % 20), np.uint8)
            pixels[:, :8] += np.uint8(40 * (side == "left"))
            Image.fromarray(pixels).save(folder / f"{i}.png")
            writer.writerow([f"{i}.png", "which side is bright?", side])
    return folder


def test_seq2seq_from_pairs_to_translations(tmp_path: Path, pairs: Path) -> None:
    out = run(tmp_path, "train", "pairs.tsv", "--model", "seq2seq", "--vocab-size", "290", *TINY)
    for said in ("seq2seq modern", "copying the source", "this model, source hidden", "exact", "n-gram", "→"):
        assert said.replace("n-gram", "grams of the answers") in out
    assert "glassgpt translate runs/pairs" in out
    one = run(tmp_path, "translate", "runs/pairs", "one two")
    lines = run(tmp_path, "translate", "runs/pairs", "-", stdin=b"three\n\none two\n").split("\n")
    assert lines[1] == "" and lines[2] == one.rstrip("\n")
    row = json.loads(run(tmp_path, "translate", "runs/pairs", "one two", "--json", "--beams", "2"))
    assert row["source"] == "one two"
    assert "the text has" in run(tmp_path, "translate", "runs/pairs", "one " * 400, code=2)
    mixed = b"one two\n" + b"one " * 400 + b"\n\xff\none two\n"
    lines = run(tmp_path, "translate", "runs/pairs", stdin=mixed, code=2).split("\n")
    assert "line 2: the text has" in lines[0] and "line 3: byte 0xFF is not valid UTF-8" in lines[1]
    assert lines[2:6] == [one.rstrip("\n"), "", "", one.rstrip("\n")]
    assert "glassgpt translate runs/pairs" in run(tmp_path, "sample", "runs/pairs", code=2)
    assert "seq2seq" in run(tmp_path, "runs")


def test_captioner_from_a_folder_to_answers(tmp_path: Path, gallery: Path) -> None:
    size = ["--image-size", "16", "--patch-size", "8", "--block-size", "64"]
    out = run(tmp_path, "train", "gallery", "--model", "captioner", *size, *TINY)
    assert "the most frequent answer to each question" in out and "40 images" not in out
    assert "36 images" in out and "this model, source hidden" in out
    held_out = "runs/gallery/samples/held-out.png"
    said = json.loads(run(tmp_path, "ask", "runs/gallery", held_out, "which side is bright?", "--json"))
    assert 0 <= said["probability"] <= 1
    assert "sure" in run(tmp_path, "ask", "runs/gallery", "gallery/3.png", "which side is bright?")
    assert "gallery/99.png" in run(tmp_path, "ask", "runs/gallery", "gallery/99.png", "what?", code=2)
    assert "captions.csv" in run(tmp_path, "ask", "runs/gallery", "gallery/captions.csv", "what?", code=2)


def test_encoder_from_text_to_gaps(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(f"{a} is {b}.\n" for a, b in counted(200)))
    out = run(tmp_path, "train", "text.txt", "--model", "encoder", *TINY)
    assert "counted neighbors" in out and "[?]" in out and "30% of the tokens" in out
    filled = run(tmp_path, "fill", "runs/text", "one i[?] un")
    assert filled.startswith("one i") and "gap 1:" in filled
    gaps = json.loads(run(tmp_path, "fill", "runs/text", "o[??] is", "--json"))["masks"]
    assert [len(gap) for gap in gaps] == [5, 5]
    assert "[?]" in run(tmp_path, "fill", "runs/text", "no gap", code=2)


def test_encoder_from_a_table_to_classes(tmp_path: Path) -> None:
    rows = [{"text": a if i % 2 else b, "label": i % 2} for i, (a, b) in enumerate(counted(200))]
    (tmp_path / "reviews.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = run(tmp_path, "train", "reviews.jsonl", "--model", "encoder", *TINY)
    assert "2 classes" in out and "counted n-grams of each class" in out
    assert run(tmp_path, "classify", "runs/reviews", "un deux")[0] in "01"
    shares = json.loads(run(tmp_path, "classify", "runs/reviews", "un deux", "--json"))
    assert sorted(shares) == ["0", "1"] and sum(shares.values()) == pytest.approx(1)
    assert "classify" in run(tmp_path, "fill", "runs/reviews", "a[?]", code=2)
    rows = run(tmp_path, "classify", "runs/reviews", "--json", stdin=b"un\n\n\xff\ndeux\n", code=2).split(
        "\n"
    )
    assert "line 2: an empty text has no class" in rows[0] and "line 3: byte 0xFF" in rows[1]
    assert ["problem" in json.loads(row) for row in rows[2:6]] == [False, True, True, False]


@pytest.mark.usefixtures("small_datasets")
@pytest.mark.parametrize("task", ["dates", "scenes"])
def test_tasks_need_no_options(tmp_path: Path, task: str) -> None:
    out = run(tmp_path, "train", task, *QUICK, "--n-embd", "32", "--batch-size", "4", "--out", "run")
    assert "held out" in out and "unseen" in out
    assert "Leave --model out" in run(tmp_path, "train", task, "--model", "gpt", *QUICK, code=2)


BAD_PAIRS = {
    "no tab": ("one two\n", "pairs.tsv:7", "0 tabs"),
    "empty side": ("one\t \n", "pairs.tsv:7", "no text"),
    "too long": ("one " * 300 + "\tun\n", "pairs.tsv:7", "block-size is 64"),
}


@pytest.mark.parametrize("kind", BAD_PAIRS)
def test_bad_pairs_are_named_and_can_be_skipped(tmp_path: Path, pairs: Path, kind: str) -> None:
    line, place, said = BAD_PAIRS[kind]
    lines = pairs.read_text().splitlines(keepends=True)
    pairs.write_text("".join([*lines[:6], line, *lines[6:]]))
    options = ["--model", "seq2seq", "--block-size", "64", "--vocab-size", "290", *TINY]
    out = run(tmp_path, "train", "pairs.tsv", *options, code=2)
    assert place in out and said in out and "--skip-invalid" in out
    assert not (tmp_path / "runs").exists()
    assert (
        "1 " in (told := run(tmp_path, "train", "pairs.tsv", *options, "--skip-invalid"))
        and "skipped" in told
    )


def test_files_of_different_lengths_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one\n" * 30)
    (tmp_path / "a.fr").write_text("un\n" * 29)
    out = run(tmp_path, "train", "a.en", "a.fr", "--model", "seq2seq", *TINY, code=2)
    assert "unpaired lines" in out and "30" in out and "29" in out


BAD_IMAGES = ["missing", "not an image", "huge", "no caption"]


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_bad_images_are_named_and_can_be_skipped(tmp_path: Path, gallery: Path, kind: str) -> None:
    bad = gallery / "bad.png"
    if kind == "not an image":
        bad.write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    elif kind == "huge":
        Image.new("1", (9000, 9000)).save(bad)
    elif kind == "no caption":
        Image.new("L", (16, 16)).save(bad)
    with (gallery / "captions.csv").open("a") as file:
        file.write("bad.png,which side is bright?," + ("\n" if kind == "no caption" else "left\n"))
    options = ["--model", "captioner", "--image-size", "16", "--patch-size", "8", *TINY]
    out = run(tmp_path, "train", "gallery", *options, code=2)
    assert "captions.csv:42" in out and "--skip-invalid" in out
    assert "1 row skipped" in run(tmp_path, "train", "gallery", *options, "--skip-invalid")


def test_a_folder_without_captions_shows_their_format(tmp_path: Path, gallery: Path) -> None:
    (gallery / "captions.csv").unlink()
    assert "image,question,answer" in run(tmp_path, "train", "gallery", "--model", "captioner", code=2)
    assert "one folder" in run(tmp_path, "train", "gallery/1.png", "--model", "captioner", code=2)
