"""Baselines of a chat model: n-grams of replies, with and without questions.

Counted on the training conversations, measured on the held-out ones. Nothing here runs a model.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glassgpt.diagnose.ngram import MAX_ORDER, MAX_TRAIN_BYTES, NGram, choose_order, ngram_score
from glassgpt.diagnose.score import Score, total_nats
from glassgpt.errors import UserError
from glassgpt.tokenizers import CharTokenizer


class Utterance(NamedTuple):
    """A message's text; `is_reply` is True if its loss counts."""

    text: str
    is_reply: bool


def reply_baselines(train: Sequence[Utterance], val: Sequence[Utterance]) -> list[Score]:
    """Score a uniform guess, n-grams of the replies alone, and n-grams of whole conversations.

    A newline closes each message, in counting and measuring, so `n_chars` is the characters of the held-out
    replies plus one for each. Orders are chosen on the last tenth of the counted text. The last row sees
    the end of the question, as far as its order reaches.

    >>> said = [Utterance("is it?", False), Utterance("it is", True)] * 50
    >>> [score.name for score in reply_baselines(said, said[:2])][:2]
    ['uniform', 'unigram']
    """
    replies = [[each for each in split if each.is_reply] for split in (train, val)]
    if not all(replies):
        counts = f"{len(replies[0]):,} replies for training and {len(replies[1]):,} held out"
        raise UserError(f"baselines: {counts}. Give conversations with replies for both.")
    alone, seeing = _ConversationNGram(*replies), _ConversationNGram(train, val)
    n_chars = sum(len(each.text) + 1 for each in replies[1])
    n_bytes = sum(len(each.text.encode("utf-8", "replace")) + 1 for each in replies[1])

    detail = f"{len(alone.tokenizer.chars):,} different characters in the replies"
    scores = [Score("uniform", alone.uniform_nats(), n_chars, n_bytes, detail, "uniform")]
    detail = "over the replies alone, each closed by a newline"
    for order in sorted({1, alone.best}):
        scores.append(ngram_score(order, alone.nats(order), n_chars, n_bytes, detail))
    detail, nats = "over questions and replies, as they follow", seeing.nats(seeing.best)
    return [*scores, ngram_score(seeing.best, nats, n_chars, n_bytes, detail, ", question seen")]


class _ConversationNGram:
    """Character n-grams of the training messages, and the ids of the held-out messages."""

    def __init__(self, train: Sequence[Utterance], val: Sequence[Utterance]) -> None:
        text = "".join(f"{each.text}\n" for each in train)[-MAX_TRAIN_BYTES:]
        self.tokenizer = CharTokenizer.train([text])
        self.history = self.tokenizer.encode_array(text)
        best = choose_order(self.history, self.tokenizer.n_vocab)
        parts = [self.tokenizer.encode_array(f"{each.text}\n") for each in val]
        self.ids = np.concatenate(parts)
        self.loss_mask = np.repeat([each.is_reply for each in val], [len(part) for part in parts])
        self.model = NGram(self.history, self.tokenizer.n_vocab, {1, best})
        self.best = max(self.model.orders)

    def nats(self, order: int) -> float:
        """Sum the loss of the held-out replies."""
        before = self.history[-MAX_ORDER:]
        p = self.model.probabilities(np.concatenate([before, self.ids]), len(before))[order]
        return total_nats(p[self.loss_mask])

    def uniform_nats(self) -> float:
        """Sum ln V per known character, ln (V + 256) per byte of others."""
        n_seen, replies = len(self.tokenizer.chars), self.ids[self.loss_mask]
        n_known = int((replies < n_seen).sum())
        return n_known * math.log(n_seen) + (len(replies) - n_known) * math.log(self.tokenizer.n_vocab)
