"""Scenes say the truth about themselves, hold out whole digits, and are answerable."""

import sys
from collections import Counter

import numpy as np
import pytest

from glassgpt.data.datasets import scenes as module
from glassgpt.data.datasets.digits import CELL, draw_digits, load_digits, split_digits
from glassgpt.data.datasets.scenes import CHINESE, ENGLISH, LANGUAGES, cell_of, kind_of, make_scenes
from glassgpt.data.examples.examples import ExampleCorpus
from glassgpt.errors import UserError

EMPTY_ANSWERS = {ENGLISH.nothing, CHINESE.nothing}


@pytest.fixture(scope="module", params=[2, 3])
def made(request: pytest.FixtureRequest) -> tuple[int, ExampleCorpus]:
    return request.param, make_scenes(seed=3, rows=request.param, n_train=3000, n_held_out=300)


def test_shapes_and_questions_of_each_kind_about_each_scene(made: tuple[int, ExampleCorpus]) -> None:
    rows, corpus = made
    assert corpus.images is not None
    assert corpus.images.shape == (3600, 1, CELL * rows, CELL * rows)
    assert corpus.images.dtype == np.uint8 and corpus.images.max() == 255
    first = 0
    for part, n, whats in ((corpus.train, 3000, rows * rows), (corpus.val, 300, 1), (corpus.test, 300, 1)):
        kinds = ["what"] * whats + ["where", "count"]
        assert [e.image for e in part] == [first + i // len(kinds) for i in range(len(kinds) * n)]
        assert [kind_of(e.question) for e in part] == kinds * n
        first += n


def test_answers_agree_with_each_other_and_with_the_pixels(made: tuple[int, ExampleCorpus]) -> None:
    """No answer is taken from the code that made it: an empty cell is black, and questions cross-check."""
    rows, corpus = made
    assert corpus.images is not None
    n_crossed = 0
    size = rows * rows + 2
    for i, what in enumerate(corpus.train):
        if kind_of(what.question) != "what":
            continue
        where, count = corpus.train[i // size * size + size - 2 : i // size * size + size]
        row, column = cell_of(what.question, rows)
        assert divmod(i % size, rows) == (row, column)
        pixels = corpus.images[what.image, 0].reshape(rows, CELL, rows, CELL)[row, :, column]
        assert (what.target in EMPTY_ANSWERS) == (not pixels.any())
        asked, counted = (next(filter(str.isdigit, e.question)) for e in (where, count))
        places = [wording.places[rows] for wording in LANGUAGES if where.target in wording.places[rows]]
        same_place = divmod(places[0].index(where.target), rows) == (row, column)
        assert same_place == (what.target == asked)
        if counted == asked:
            assert count.target == "1"
        if counted == what.target:
            assert count.target != "0"
            n_crossed += 1
    assert n_crossed > 100


def test_questions_and_answers_keep_to_one_language(made: tuple[int, ExampleCorpus]) -> None:
    _, corpus = made
    languages = Counter()
    for example in corpus.train:
        chinese = not example.question.isascii()
        languages[chinese] += 1
        assert example.target.isdecimal() or example.target.isascii() != chinese
    assert 0.45 < languages[True] / languages.total() < 0.55


def test_no_kind_of_answer_can_be_guessed(made: tuple[int, ExampleCorpus]) -> None:
    rows, corpus = made
    answers = {
        kind: Counter(e.target for e in corpus.train if kind_of(e.question) == kind)
        for kind in ("what", "where", "count")
    }
    shares = {k: {a: n / c.total() for a, n in c.items()} for k, c in answers.items()}
    assert all(shares["count"][amount] > 0.22 for amount in "012")
    assert max(shares["count"].values()) < 0.45
    assert max(shares["what"].values()) < 0.12
    assert 0.07 < sum(shares["what"][empty] for empty in EMPTY_ANSWERS) < 0.13
    assert max(shares["where"].values()) < 1.4 / (2 * rows * rows)


def test_a_pair_in_a_scene_does_not_give_the_count_away() -> None:
    """Were pairs always the ones that are counted, 2 could be said without reading the question."""
    rng = np.random.default_rng(0)
    layouts = module._layouts(4000, 4, rng)
    counts = module._counts(layouts)
    with_pair = counts[(counts == 2).any(1)]
    picked = module._pick(module._count_weights(with_pair), rng)
    asked = np.bincount(with_pair[np.arange(len(picked)), picked], minlength=3) / len(picked)
    assert asked[2] < 0.6 and asked[0] > 0.2 and asked[1] > 0.15


def test_a_digit_is_in_one_part_only_and_every_part_has_all_ten() -> None:
    _, labels = load_digits()
    parts = split_digits(labels, seed=0)
    assert sorted(np.concatenate(parts)) == list(range(1797))
    for part, share in zip(parts, (0.75, 0.10, 0.15), strict=True):
        assert abs(len(part) / 1797 - share) < 0.01
        assert np.abs(np.bincount(labels[part]) / len(part) - 0.1).max() < 0.01
    assert not np.array_equal(parts[2], split_digits(labels, seed=1)[2])


def test_scenes_are_painted_with_the_digits_of_their_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[tuple[np.ndarray, bool]] = []
    paint = module._paint

    def spy(pictures: np.ndarray, chosen: np.ndarray, rows: int, rng: np.random.Generator, augment: bool):
        painted.append((chosen[chosen >= 0], augment))
        return paint(pictures, chosen, rows, rng, augment)

    monkeypatch.setattr(module, "_paint", spy)
    make_scenes(seed=5, n_train=2000, n_held_out=500)
    _, labels = load_digits()
    for (used, augmented), own, is_train in zip(
        painted, split_digits(labels, 5), (True, False, False), strict=True
    ):
        assert augmented == is_train
        assert set(used.tolist()) <= set(own.tolist())
        assert len(set(used.tolist())) > 0.9 * len(own)


def test_the_digit_painted_is_the_digit_answered() -> None:
    """A nearest neighbor among real digits reads a cell as its answer says, which no wrong label would."""
    corpus = make_scenes(seed=0, n_train=20, n_held_out=400)
    assert corpus.images is not None
    pictures, labels = load_digits()
    known = np.concatenate(
        [draw_digits(pictures, np.random.default_rng(i), augment=False) for i in range(4)]
    ).reshape(-1, CELL * CELL)
    known_labels = np.tile(labels, 4)
    right = total = 0
    for example in corpus.test:
        if kind_of(example.question) == "what" and example.target not in EMPTY_ANSWERS:
            row, column = cell_of(example.question)
            cell = corpus.images[example.image, 0].reshape(2, CELL, 2, CELL)[row, :, column]
            nearest = ((known - cell.ravel().astype(np.float32)) ** 2).sum(1).argmin()
            right += str(known_labels[nearest]) == example.target
            total += 1
    assert right / total > 0.85


def test_every_cell_gets_a_picture_of_its_own_digit() -> None:
    _, labels = load_digits()
    layouts = np.random.default_rng(0).integers(-1, 10, (5000, 4))
    for part in split_digits(labels, seed=0):
        chosen = module._choose_sources(layouts, part, labels, np.random.default_rng(1))
        assert np.array_equal(np.where(chosen < 0, -1, labels[chosen]), layouts)


def test_varied_digits_stay_in_the_cell_and_differ() -> None:
    pictures, _ = load_digits()
    plain, varied = (draw_digits(pictures, np.random.default_rng(0), augment) for augment in (False, True))
    assert plain.shape == varied.shape == (1797, CELL, CELL)
    ink = pictures.sum((1, 2)) * 255
    assert np.abs(plain.sum((1, 2), dtype=float) / ink - 1).max() < 0.02  # placed, nothing cut off
    ratio = varied.sum((1, 2), dtype=float) / ink
    assert 0.6 < ratio.min() < 0.9 and 1.05 < ratio.max() < 1.3
    places = plain.any(2).argmax(1)
    assert len(set(places.tolist())) >= 4


def test_the_seed_decides_everything() -> None:
    one, same, other = (make_scenes(seed, n_train=50, n_held_out=20) for seed in (1, 1, 2))
    assert one.images is not None and same.images is not None and other.images is not None
    assert one.train == same.train and one.test == same.test and np.array_equal(one.images, same.images)
    assert one.train != other.train and not np.array_equal(one.images, other.images)


def test_every_place_is_found_again_in_both_languages() -> None:
    for rows in (2, 3):
        for wording in LANGUAGES:
            assert len(set(wording.places[rows])) == rows * rows
            asked = [cell_of(wording.what.format(place), rows) for place in wording.places[rows]]
            assert asked == [divmod(i, rows) for i in range(rows * rows)]
    with pytest.raises(UserError, match="names no place in 2×2 cells"):
        cell_of("what is at the center?")
    with pytest.raises(UserError, match="not a question about scenes"):
        kind_of("why?")


def test_what_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="4 rows of cells: scenes have 2 or 3"):
        make_scenes(rows=4)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UserError, match=r"scikit-learn is not installed: pip install 'glassgpt\[data\]'"):
        make_scenes()
