"""Baselines of a chat model: n-grams of replies, with and without questions.

Counted on the training conversations, measured on the held-out ones. Nothing here runs a model.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.interval import PartSums, n_parts
from glassgpt.diagnose.ngram import MAX_ORDER, MAX_TRAIN_BYTES, NGram, choose_order, ngram_score
from glassgpt.diagnose.score import Score, round_parts, uniform_nats
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tokenizers import CharTokenizer


class Utterance(NamedTuple):
    """A message's text; `is_reply` is True if its loss counts. `row` numbers the conversations."""

    text: str
    is_reply: bool
    row: int = 0


def reply_baselines(
    train: Sequence[Utterance], val: Sequence[Utterance], max_chars: int = MAX_TRAIN_BYTES
) -> list[Score]:
    """Score a uniform guess, n-grams of the replies alone, and n-grams of whole conversations.

    A newline closes each message, in counting and measuring, so `n_chars` is the characters of the held-out
    replies plus one for each. Orders are chosen on the last tenth of the counted text. The last row sees
    the end of the question, as far as its order reaches. max_chars: characters of the training messages to
    count, from the end; `detail` says so where some are left out.

    >>> said = [Utterance("is it?", False), Utterance("it is", True)] * 50
    >>> [score.name for score in reply_baselines(said, said[:2])][:2]
    ['uniform', 'unigram']
    """
    replies = [[each for each in split if each.is_reply] for split in (train, val)]
    if not all(replies):
        counts = N_(
            "{n_train:,} replies for training and {n_val:,} held out",
            n_train=len(replies[0]),
            n_val=len(replies[1]),
        )
        raise UserError("baselines: {counts}. Give conversations with replies for both.", counts=counts)
    alone = _ConversationNGram(replies[0], replies[1], max_chars)
    seeing = _ConversationNGram(train, val, max_chars)
    n_chars = sum(len(each.text) + 1 for each in replies[1])
    n_bytes = sum(len(each.text.encode("utf-8", "replace")) + 1 for each in replies[1])

    detail = f"{len(alone.tokenizer.chars):,} different characters in the replies"
    scores = [Score(N_("uniform"), alone.uniform_nats(), n_chars, n_bytes, detail, "uniform")]
    n_rows = val[-1].row + 1

    def score(model: _ConversationNGram, order: int, detail: str, remark: str = "") -> Score:
        parts = row_parts(model.nats_of_rows(order, n_rows), n_parts(n_chars))
        row = ngram_score(order, float(parts.sum()), n_chars, n_bytes, detail, remark)
        return replace(row, parts=round_parts(parts))

    detail = f"over the replies alone, each closed by a newline{alone.left_out}"
    scores += [score(alone, order, detail) for order in sorted({1, alone.best})]
    detail = f"over questions and replies, as they follow{seeing.left_out}"
    return [*scores, score(seeing, seeing.best, detail, N_("question seen"))]


def row_parts(nats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Sum the losses of examples, (n_rows,), by the n parts of the split."""
    sums = PartSums(n, len(nats))
    sums.add(nats, np.ones(len(nats), dtype=np.int64))
    return sums.nats


class _ConversationNGram:
    """Character n-grams of the training messages, and the ids of the held-out messages."""

    def __init__(self, train: Sequence[Utterance], val: Sequence[Utterance], max_chars: int) -> None:
        whole = "".join(f"{each.text}\n" for each in train)
        text = whole[-max_chars:]
        some = len(text) < len(whole)
        self.left_out = f"; counted on the last {max_chars:,} characters" if some else ""
        self.tokenizer = CharTokenizer.train([text])
        self.history = self.tokenizer.encode_array(text)
        best = choose_order(self.history, self.tokenizer.n_vocab)
        parts = [self.tokenizer.encode_array(f"{each.text}\n") for each in val]
        self.ids = np.concatenate(parts)
        lengths = [len(part) for part in parts]
        self.loss_mask = np.repeat([each.is_reply for each in val], lengths)
        self.rows = np.repeat([each.row for each in val], lengths)
        self.model = NGram(self.history, self.tokenizer.n_vocab, {1, best})
        self.best = max(self.model.orders)

    def nats_of_rows(self, order: int, n_rows: int) -> NDArray[np.float64]:
        """Sum the loss of the held-out replies of each conversation: (n_rows,)."""
        before = self.history[-MAX_ORDER:]
        p = self.model.probabilities(np.concatenate([before, self.ids]), len(before))[order]
        nats = np.zeros(n_rows)
        np.add.at(nats, self.rows[self.loss_mask], -np.log(p[self.loss_mask]))
        return nats

    def uniform_nats(self) -> float:
        """Return the loss of a uniform guess on the held-out replies."""
        n_seen, replies = len(self.tokenizer.chars), self.ids[self.loss_mask]
        n_unseen = int((replies >= n_seen).sum())
        return uniform_nats(len(replies), n_unseen, n_seen, self.tokenizer.n_vocab)
