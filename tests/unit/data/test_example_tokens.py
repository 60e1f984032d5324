"""Examples become ids by their family's encoding, and batches in which only the answer is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from glassgpt.config import ModelConfig
from glassgpt.data import (
    IGNORE,
    Example,
    ExampleBatches,
    ExampleSplit,
    eval_rows,
    open_examples,
    write_examples,
)
from glassgpt.data.batches.example_tokens import FORMER_KEYS, POOL
from glassgpt.data.batches.ragged import Ragged
from glassgpt.data.batches.templates import check_length
from glassgpt.errors import UserError
from glassgpt.nn import PAD
from glassgpt.tokenizers import CharTokenizer
from helpers.templates import SPECIALS, make_template

PAIRS = [Example("xyz", source="ab"), Example("x", source="abc"), Example("", source="b")]
QUESTIONS = [Example("x", question="ab", image=2), Example("yz", question="", image=0, where="qa.csv:3")]
CLASSES = [Example("y", source="abcabcabc"), Example("x", source="b")]
IMAGES = np.arange(4 * 3 * 2 * 2, dtype=np.uint8).reshape(4, 3, 2, 2)
FAMILIES = {"seq2seq": PAIRS, "captioner": QUESTIONS, "encoder": CLASSES}


def config(family: str, block_size: int = 6) -> ModelConfig:
    labels = ("x", "y") if family == "encoder" else ()
    return ModelConfig.model_validate(dict(family=family, labels=labels, block_size=block_size))


def tokenizer(family: str) -> CharTokenizer:
    return CharTokenizer("abcxyz", SPECIALS[family])


def written(family: str, folder: Path) -> ExampleSplit:
    encoding = make_template(config(family), tokenizer(family))
    splits = {"train": FAMILIES[family], "val": FAMILIES[family][:1]}
    return write_examples(splits, encoding, IMAGES if family == "captioner" else None, folder).train


def lengths_only(lengths: np.ndarray) -> ExampleSplit:
    """Row i is its own number, as many times as it is long, as a class of its own."""
    n = len(lengths)
    given = Ragged.of([[i] * length for i, length in enumerate(lengths.tolist())])
    return ExampleSplit(given, Ragged.of([[0]] * n), np.zeros(n, np.int64), n, n, is_class=True)


def test_a_pair_asks_for_the_translation_and_its_end(tmp_path: Path) -> None:
    split, special = written("seq2seq", tmp_path), tokenizer("seq2seq").specials
    begin, end = special["<bos>"], special["<eos>"]
    tokens, targets, source, _ = split.batch(np.array([1, 0, 2]))
    assert source is not None and source.tolist() == [[0, 1, 2], [0, 1, PAD], [1, PAD, PAD]]
    assert tokens.tolist() == [[begin, 3, end, PAD], [begin, 3, 4, 5], [begin, end, PAD, PAD]]
    i = IGNORE
    assert targets.tolist() == [[3, end, i, i], [3, 4, 5, end], [end, i, i, i]]
    assert {t.dtype for t in (tokens, targets, source)} == {torch.int64}


def test_a_question_is_given_and_only_its_answer_is_asked_for(tmp_path: Path) -> None:
    split, special = written("captioner", tmp_path), tokenizer("captioner").specials
    begin, separate, end = (special[name] for name in ("<bos>", "<sep>", "<eos>"))
    tokens, targets, source, source_of = split.batch(np.array([0, 1]))
    assert tokens.tolist() == [[begin, 0, 1, separate, 3], [begin, separate, 4, 5, end]]
    i = IGNORE
    assert targets.tolist() == [[i, i, i, 3, end], [i, 4, 5, end, i]]
    assert source is not None and source.dtype == torch.uint8
    assert source_of is not None and np.array_equal(source[source_of].numpy(), IMAGES[[2, 0]])


def test_questions_about_one_image_share_a_batch_that_looks_at_it_once() -> None:
    n, per_image = 60, 3
    split = lengths_only(np.random.default_rng(0).integers(1, 9, n))
    image = np.random.default_rng(1).permutation(np.repeat(np.arange(n // per_image), per_image))
    images = np.zeros((n // per_image, 1, 4, 4), np.uint8)
    n_prompt = np.ones(n, np.int64)
    split = replace(split, n_prompt=n_prompt, text=split.source, image=image, images=images, is_class=False)
    batches = ExampleBatches(split, seed=3)
    for index in range(5):
        batch = batches.batch(index, 12)
        assert batch.source is not None and len(batch.source) == 4
        assert batch.source_of is not None and sorted(batch.source_of.tolist()) == sorted([0, 1, 2, 3] * 3)


def test_a_class_is_asked_for_once_and_long_texts_are_cut(tmp_path: Path) -> None:
    tokens, targets, source, _ = written("encoder", tmp_path).batch(np.array([0, 1]))
    assert tokens.tolist() == [[0, 1, 2, 0, 1, 2], [1, *[PAD] * 5]]
    assert targets.tolist() == [[1], [0]] and source is None


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_written_is_opened_again(family: str, tmp_path: Path) -> None:
    split, opened = written(family, tmp_path), open_examples(tmp_path)
    assert len(opened.val) == 1
    answers = [example.target for example in FAMILIES[family]]
    n_chars = len(answers) if family == "encoder" else len("".join(answers)) + len(answers)
    assert (opened.train.n_chars, opened.train.n_bytes) == (n_chars, n_chars)
    for one, other in zip(split.batch(np.arange(2)), opened.train.batch(np.arange(2)), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_a_split_keeps_only_the_images_that_it_is_about(tmp_path: Path) -> None:
    written("captioner", tmp_path)
    data = open_examples(tmp_path)
    assert data.train.images is not None and len(data.train.images) == 2
    assert data.val.images is not None and np.array_equal(data.val.images, IMAGES[2:3])


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    written("seq2seq", tmp_path)
    file = tmp_path / "val.safetensors"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:50] if damage == "cut" else b"no tensors")
    with pytest.raises(UserError, match=r"cannot be read \(No such|cannot read the examples .*new run"):
        open_examples(tmp_path)


def test_a_batch_depends_on_nothing_but_seed_and_index() -> None:
    split = lengths_only(np.arange(1, 101))
    ahead = ExampleBatches(split, seed=5)
    for i in range(40):
        ahead.batch(i, 8)
    assert torch.equal(ahead.batch(7, 8).tokens, ExampleBatches(split, seed=5).batch(7, 8).tokens)
    assert not torch.equal(ahead.batch(7, 8).tokens, ExampleBatches(split, seed=6).batch(7, 8).tokens)


def epoch(batches: ExampleBatches, number: int, B: int) -> list[list[int]]:
    """The examples of each batch of an epoch; in `lengths_only` the first token is the example's number."""
    n = max(1, len(batches.split) // B)
    return [batches.batch(number * n + i, B).tokens[:, 0].tolist() for i in range(n)]


@pytest.mark.parametrize(("n", "B"), [(100, 8), (96, 8), (7, 8), (8, 8), (9, 8), (5 * POOL, 2)])
def test_an_epoch_shows_each_example_at_most_once_and_the_next_one_differs(n: int, B: int) -> None:
    batches = ExampleBatches(lengths_only(np.arange(1, n + 1)), seed=0)
    first, second = epoch(batches, 0, B), epoch(batches, 1, B)
    shown = [row for batch in first for row in batch]
    assert len(set(shown)) == len(shown) == max(n // B * B, min(n, B))
    assert first != second or n <= B


def test_no_example_is_left_out_of_every_epoch() -> None:
    """What does not fill a batch is drawn by lot, not by length."""
    batches = ExampleBatches(lengths_only(np.arange(1, 20)), seed=0)
    shown = Counter(row for number in range(40) for batch in epoch(batches, number, 8) for row in batch)
    assert set(shown) == set(range(19)) and min(shown.values()) > 20


def test_examples_of_similar_length_share_a_batch() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 2000)
    batches = ExampleBatches(lengths_only(lengths), seed=0)
    tokens = [batches.batch(i, 16).tokens for i in range(2000 // 16)]
    padding = sum(int((t == PAD).sum()) for t in tokens) / sum(t.numel() for t in tokens)
    assert padding < 0.05  # in random order it would be half
    widths = [t.shape[1] for t in tokens]
    assert widths != sorted(widths)


@pytest.mark.parametrize("max_tokens", [1, 50, 300, 10**6])
def test_every_row_is_measured_once(max_tokens: int) -> None:
    lengths = np.random.default_rng(1).integers(0, 40, 200)
    split = lengths_only(lengths)
    batches = list(eval_rows(split, max_tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * split.lengths[rows].max() <= max_tokens
    assert len(batches) == 1 or max_tokens < 10**6


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_model_can_see_passes(family: str) -> None:
    encoding = make_template(config(family), tokenizer(family))
    for example in FAMILIES[family]:
        check_length(config(family), encoding, example)


TOO_LONG = [
    (
        "seq2seq",
        Example("x", source="a" * 7, where="pairs.tsv:8"),
        r"pairs.tsv:8: the source has 7 tokens.*`block_size` is 6\.",
    ),
    ("seq2seq", Example("x" * 6, source="a"), r"the target has 7 tokens.*is 6\. Raise `block_size`"),
    (
        "captioner",
        Example("xyz", question="abc", image=0, where="qa.csv:2"),
        "qa.csv:2: the target has 8 tokens",
    ),
]


@pytest.mark.parametrize(("family", "example", "message"), TOO_LONG)
def test_what_it_cannot_see_is_refused(family: str, example: Example, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_length(config(family), make_template(config(family), tokenizer(family)), example)


@pytest.mark.parametrize("family", ["seq2seq", "encoder"])
def test_an_empty_source_is_refused(family: str) -> None:
    encoding = make_template(config(family), tokenizer(family))
    with pytest.raises(UserError, match=r"a\.csv:4: the source is empty"):
        check_length(config(family), encoding, Example("x", source="", where="a.csv:4"))


def former_file(path: Path) -> None:
    """Rewrite a file with the names of arrays from before 0.1.0, which had no `is_class`."""
    arrays = load_file(path)
    del arrays["is_class"]
    former = {new: old for old, new in FORMER_KEYS.items()}
    save_file({former.get(name, name): array for name, array in arrays.items()}, path)


@pytest.mark.parametrize("family", FAMILIES)
def test_former_files_are_read_alike(family: str, tmp_path: Path) -> None:
    split = written(family, tmp_path)
    for name in ("train", "val"):
        former_file(tmp_path / f"{name}.safetensors")
    assert "given" in load_file(tmp_path / "train.safetensors")
    former = open_examples(tmp_path).train
    assert former.is_class == split.is_class == (family == "encoder")
    for one, other in zip(split.batch(np.arange(2)), former.batch(np.arange(2)), strict=True):
        assert (one is None and other is None) or (
            one is not None and other is not None and torch.equal(one, other)
        )


def test_a_class_is_told_by_its_field_not_by_an_empty_prompt() -> None:
    ids = Ragged.of([[1, 2], [3, 4]])
    split = ExampleSplit(ids, ids, np.zeros(2, np.int64), 4, 4)
    batch = split.batch(np.arange(2))
    assert batch.targets.tolist() == [[2], [4]] and batch.source is not None  # (B, T), a decoder's
    batch = replace(split, is_class=True).batch(np.arange(2))
    assert batch.tokens.tolist() == [[1, 2], [3, 4]] and batch.source is None


def test_the_keys_on_disk_are_the_fields_names(tmp_path: Path) -> None:
    written("captioner", tmp_path)
    assert set(load_file(tmp_path / "train.safetensors")) == {
        *("source", "source_starts", "text", "text_starts", "n_prompt", "n_chars_bytes", "is_class"),
        *("image", "images"),
    }
