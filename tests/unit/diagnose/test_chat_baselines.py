"""Counted replies: what is counted is divided by the replies alone, and the question helps where it can."""

import math
import random

import pytest

from glassgpt.diagnose import Utterance, reply_baselines
from glassgpt.errors import UserError


def talk(n: int) -> list[Utterance]:
    """Replies that repeat the end of their question."""
    rng = random.Random(n)
    words = [rng.choice(["ab", "cd", "ef", "gh"]) for _ in range(n)]
    return [Utterance(word, is_reply) for word in words for is_reply in (False, True)]


def test_the_question_helps() -> None:
    train, val = talk(400), talk(40)
    uniform, *_, best, seeing = reply_baselines(train, val)
    assert uniform.n_chars == 40 * 3 == seeing.n_chars
    assert uniform.total_nats == pytest.approx(40 * 3 * math.log(9))  # eight letters and the newline
    assert best.nats_per_char > 0.3 and seeing.nats_per_char < 0.1
    assert seeing.name.endswith("gram, question seen")


def test_a_bounded_count_says_so() -> None:
    train, val = talk(400), talk(40)
    _, *best, seeing = reply_baselines(train, val, max_chars=600)
    assert all("counted on the last 600 characters" in row.detail for row in (*best, seeing))
    assert not any("counted on" in row.detail for row in reply_baselines(train, val))


def test_characters_of_the_questions_cost_nothing() -> None:
    train = talk(100)
    val = [Utterance("ab" * 500, False), Utterance("ab", True)]
    assert reply_baselines(train, val)[0].n_chars == 3
    assert reply_baselines(train, val)[-1].total_nats < 20


def test_unseen_characters_cost_their_bytes() -> None:
    (uniform, *_) = reply_baselines(talk(100), [Utterance("ab", False), Utterance("é", True)])
    assert uniform.total_nats == pytest.approx(3 * math.log(9 + 256))  # bytes, newline
    with pytest.raises(UserError, match="0 held out"):
        reply_baselines(talk(100), [Utterance("ab", False)])
