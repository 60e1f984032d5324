"""Copied passages are found exactly, against a plain reference; nothing is found where nothing was copied."""

import random

import numpy as np
import pytest

from glassgpt.data.corpus import leakage
from glassgpt.data.corpus.leakage import MIN_PASSAGE, Leakage, find_leakage
from glassgpt.data.corpus.spool import Spool


def look(train: str, val: str) -> Leakage | None:
    spool = Spool()
    spool.add([train + val])
    return find_leakage(*spool.split(len(train)))


def reference_share(train: str, val: str) -> float:
    known = {train[i : i + MIN_PASSAGE] for i in range(len(train) - MIN_PASSAGE + 1)}
    covered = np.zeros(len(val), bool)
    for i in range(len(val) - MIN_PASSAGE + 1):
        if val[i : i + MIN_PASSAGE] in known:
            covered[i : i + MIN_PASSAGE] = True
    return float(covered.mean())


def prose(rng: random.Random, n: int, alphabet: str = "abcdefgh ij山水你\n") -> str:
    return "".join(rng.choices(alphabet, k=n))


@pytest.mark.parametrize("seed", range(30))
def test_share_equals_the_reference_at_every_offset_and_length(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(leakage, "PIECE", rng.choice([150, 400, 1000, 1 << 18]))
    train, val = prose(rng, rng.randrange(200, 5000)), prose(rng, rng.randrange(200, 2000))
    for _ in range(rng.randrange(4)):
        n = rng.choice([150, 199, 200, 201, 250, 600])
        at, to = rng.randrange(max(1, len(train) - n)), rng.randrange(len(val))
        val = val[:to] + train[at : at + n] + val[to:]
    found, expected = look(train, val), reference_share(train, val)
    assert (found.share if found else 0.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("offset", [0, 1, 57, 99, 100, 101, 199])
@pytest.mark.parametrize(("n", "found"), [(199, False), (200, True)])
def test_exactly_200_characters_count_and_199_do_not(offset: int, n: int, found: bool) -> None:
    rng = random.Random(offset)
    passage = prose(rng, n, "XYZ")
    train = prose(rng, 1000 + offset, "abc") + passage + prose(rng, 500, "abc")
    assert bool(look(train, prose(rng, 333, "def") + passage + prose(rng, 100, "def"))) is found


def test_passages_are_counted_and_the_longest_is_quoted() -> None:
    rng = random.Random(3)
    short, long = prose(rng, 250, "mnop"), "The longest " + prose(rng, 600, "qrst")
    train = prose(rng, 3000, "abc") + short + prose(rng, 3000, "abc") + long
    found = look(
        train, prose(rng, 500, "def") + short + prose(rng, 500, "def") + long + prose(rng, 500, "def")
    )
    assert found and found.n_passages == 2
    assert found.excerpt.startswith("The longest ")
    assert "2 passages of 200 characters or more occur in both splits, 36." in str(found)


def test_repetitive_text_is_linear_work() -> None:
    found = look("-" * 300_000, "-" * 50_000)
    assert found and (found.n_passages, found.share) == (1, 1.0)


def test_text_too_short_to_hold_a_passage_is_no_error() -> None:
    assert look("x" * 10, "x" * 199) is None
    assert look("x" * 1000, "x" * 199) is None
