"""What the assistant's words in conversations cost by counting alone, with and without the question.

Learned from the training conversations and measured on the held-out ones. No model runs here.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glassgpt.diagnose.ngram import MAX_ORDER, NGram
from glassgpt.diagnose.score import Score
from glassgpt.diagnose.text_baselines import MAX_TRAIN_BYTES, NAMES, choose_order, cost
from glassgpt.errors import UserError
from glassgpt.tokenizers import CharTokenizer


class Utterance(NamedTuple):
    """A message's words, and whether they are to be predicted."""

    text: str
    is_reply: bool


def reply_baselines(train: Sequence[Utterance], val: Sequence[Utterance]) -> list[Score]:
    """A uniform guess, and counted n-grams: of the replies alone, and of all that is said.

    Each message is closed by a newline, when counting and when measuring, so `n_chars` is the characters of
    the held-out replies and one for each. Orders are chosen on the last tenth of what is counted. The last
    row sees the end of the question, as far as its order reaches.

    >>> said = [Utterance("is it?", False), Utterance("it is", True)] * 50
    >>> [score.name for score in reply_baselines(said, said[:2])][:2]
    ['uniform', 'unigram']
    """
    replies = [[each for each in split if each.is_reply] for split in (train, val)]
    if not all(replies):
        raise UserError("there are no replies to count, or none to measure on; give some of both")
    alone, seeing = _Counted(*replies), _Counted(train, val)
    n_chars = sum(len(each.text) + 1 for each in replies[1])
    n_bytes = sum(len(each.text.encode("utf-8", "replace")) + 1 for each in replies[1])

    def score(name: str, nats: float, detail: str) -> Score:
        return Score(name, nats, n_chars, n_bytes, detail)

    n_seen, of_replies = len(alone.tokenizer.chars), "over the replies alone, each closed by a newline"
    scores = [score("uniform", alone.uniform(), f"{n_seen:,} different characters in the replies")]
    for order in sorted({1, alone.best}):
        scores.append(score(NAMES.get(order, f"{order}-gram"), alone.nats(order), of_replies))
    name = NAMES.get(seeing.best, f"{seeing.best}-gram") + ", question seen"
    return [*scores, score(name, seeing.nats(seeing.best), "over questions and replies, as they follow")]


class _Counted:
    """n-grams of what is said in training, beside what is held out."""

    def __init__(self, train: Sequence[Utterance], val: Sequence[Utterance]) -> None:
        text = "".join(f"{each.text}\n" for each in train)[-MAX_TRAIN_BYTES:]
        self.tokenizer = CharTokenizer.train([text])
        self.history = self.tokenizer.encode_array(text)
        best = choose_order(self.history, self.tokenizer.n_vocab)
        parts = [self.tokenizer.encode_array(f"{each.text}\n") for each in val]
        self.ids = np.concatenate(parts)
        self.asked = np.repeat([each.is_reply for each in val], [len(part) for part in parts])
        self.model = NGram(self.history, self.tokenizer.n_vocab, {1, best})
        self.best = max(self.model.orders)

    def nats(self, order: int) -> float:
        """What the held-out replies cost."""
        before = self.history[-MAX_ORDER:]
        p = self.model.probabilities(np.concatenate([before, self.ids]), len(before))[order]
        return cost(p[self.asked])

    def uniform(self) -> float:
        """ln of the number of characters for each that training has, and for others of all that there are."""
        n_seen, asked = len(self.tokenizer.chars), self.ids[self.asked]
        n_known = int((asked < n_seen).sum())
        return n_known * math.log(n_seen) + (len(asked) - n_known) * math.log(self.tokenizer.n_vocab)
