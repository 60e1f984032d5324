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
    train, val = prose(rng, rng.randrange(64, 5000)), prose(rng, rng.randrange(64, 2000))
    for _ in range(rng.randrange(4)):
        n = rng.choice([40, 63, 64, 65, 100, 600])
        at, to = rng.randrange(max(1, len(train) - n)), rng.randrange(len(val))
        val = val[:to] + train[at : at + n] + val[to:]
    found, expected = look(train, val), reference_share(train, val)
    assert (found.share if found else 0.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("offset", [0, 1, 17, 31, 32, 33, 63])
@pytest.mark.parametrize(("n", "found"), [(63, False), (64, True)])
def test_exactly_64_characters_count_and_63_do_not(offset: int, n: int, found: bool) -> None:
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
    assert "2 passages of 64 characters or more (36." in str(found) and found.is_notable
    assert found.longest == len(long) and found.share == pytest.approx((len(short) + len(long)) / 2362)


def test_repetitive_text_is_linear_work() -> None:
    found = look("-" * 300_000, "-" * 50_000)
    assert found and (found.n_passages, found.share) == (1, 1.0)


def test_text_too_short_to_hold_a_passage_is_no_error() -> None:
    assert look("x" * 10, "x" * 63) is None
    assert look("x" * 1000, "x" * 63) is None


def planted(n: int, change_every: int = 0) -> tuple[str, str]:
    """Held-out text of which half is copied from the training text, in passages of n characters."""
    rng = random.Random(5)
    train, val = prose(rng, 200_000), prose(rng, 20_000)
    copies = ""
    while len(copies) < 20_000:
        at = rng.randrange(len(train) - n)
        passage = list(train[at : at + n])
        for i in range(rng.randrange(change_every), n, change_every) if change_every else ():
            passage[i] = "#"
        copies += "".join(passage)
    return train, val + copies


@pytest.mark.parametrize(("n", "change_every"), [(100, 0), (190, 0), (500, 0), (500, 150)])
def test_short_passages_and_near_duplicates_are_found(n: int, change_every: int) -> None:
    found = look(*planted(n, change_every))
    assert found and found.is_notable and found.share == pytest.approx(0.5, abs=0.05)


def test_repeated_lines_are_found() -> None:
    rng = random.Random(6)
    lines = [f"GET /{prose(rng, 20, 'abcdef')} ok" for _ in range(300)]
    pages = [lines[i % 100] if i % 2 else f"POST /{prose(rng, 20, 'abcdef')} ok" for i in range(2000)]
    found = look("\n".join(pages[:1800]) + "\n", "\n".join(pages[1800:]))
    assert found and found.n_passages == 0  # no two lines in a row
    assert found.line_share == pytest.approx(0.5, abs=0.02) and found.is_notable
    assert "also has whole lines (" in str(found)
    short = "\n".join(["ROMEO:", "Ay me!"] * 100)
    assert look(short.replace("Ay me!", prose(rng, 30)), short.replace("Ay me!", prose(rng, 30))) is None


def test_phrases_of_one_author_are_not_notable() -> None:
    rng = random.Random(7)
    phrase = prose(rng, 70, "mnop")
    found = look(prose(rng, 5000, "abc") + phrase, prose(rng, 5000, "def") + phrase)
    assert found and not found.is_notable
