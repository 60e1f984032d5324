"""Checks of a run's data: overlap, repetition, unseen tokens, and the tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassgpt.checkpoint import Run, run_tokens
from glassgpt.data import TokenData
from glassgpt.doctor.checks import Problem, RunCheck
from glassgpt.doctor.subject import Skip
from glassgpt.errors import UserError
from glassgpt.language import N_

PASSAGE = 48
"""Tokens of a passage that is no chance."""
MAX_TOKENS = 1 << 21
MAX_REPEATED = 0.3
"""Share of repeated passages above which a text is mostly copies."""
MAX_UNSEEN = 0.002
"""Share of held-out tokens that training never saw, if the text lets expect none."""
UNEXPECTED = 3
"""A share of unseen tokens so many times as large as expected says that the texts differ."""
BASE = np.uint64(0x9E3779B97F4A7C15)


def _tokens(run: Run) -> TokenData:
    if not (run.data / "train.bin").is_file():
        raise Skip(N_("the run has no running text"))
    try:
        return run_tokens(run, run.tokenizer().n_vocab)
    except UserError as error:
        raise Skip(N_("the data of the run cannot be read")) from error


def _overlap(run: Run) -> Iterator[Problem]:
    if note := _tokens(run).leak_note:
        yield Problem(
            "data",
            N_("held-out text is also in the training text"),
            note,
            N_("remove repeated documents, or hold out another part"),
            outcome="warn",
        )


def passage_hashes(ids: np.ndarray, length: int = PASSAGE) -> np.ndarray:
    """Hash every passage of `length` tokens: (n − length + 1,) of uint64.

    >>> hashes = passage_hashes(np.array([1, 2, 3, 1, 2]), 2)
    >>> bool(hashes[0] == hashes[3]), len(set(hashes.tolist()))
    (True, 3)
    """
    with np.errstate(over="ignore"):
        hashes = np.zeros(max(0, len(ids) - length + 1), np.uint64)
        for i in range(length):
            hashes = hashes * BASE + (ids[i : i + len(hashes)].astype(np.uint64) + np.uint64(1))
    return hashes


def _repeats(run: Run) -> Iterator[Problem]:
    ids = np.asarray(_tokens(run).train.ids[:MAX_TOKENS])
    hashes = passage_hashes(ids)
    if len(hashes) < 10 * PASSAGE:
        raise Skip(N_("the text is too short"))
    share = 1 - len(np.unique(hashes)) / len(hashes)
    if share > MAX_REPEATED:
        yield Problem(
            "data",
            N_("the training text repeats itself"),
            N_("{share:.0%} of its passages of {n} tokens occurred before", share=share, n=PASSAGE),
            N_("remove copies: they are learned by heart"),
            outcome="warn",
        )


def _unseen(run: Run) -> Iterator[Problem]:
    """Compare the held-out tokens that training never saw with what its own rare tokens let expect.

    Source: Good 1953: the share of unseen tokens is about that of tokens that were seen once.
    """
    data, n_vocab = _tokens(run), run.tokenizer().n_vocab
    counts = np.bincount(np.asarray(data.train.ids), minlength=n_vocab)
    val = np.bincount(np.asarray(data.val.ids), minlength=n_vocab)
    unseen = float(val[counts == 0].sum() / max(1, val.sum()))
    expected = float((counts == 1).sum() / max(1, counts.sum()))
    if unseen > MAX_UNSEEN + UNEXPECTED * expected:
        yield Problem(
            "data",
            N_("held-out tokens were never trained"),
            N_("{share:.1%} of them, {expected:.1%} were expected", share=unseen, expected=expected),
            N_("hold out text of the same kind as the rest"),
            outcome="warn",
        )


def _round_trip(run: Run) -> Iterator[Problem]:
    ids = np.asarray(_tokens(run).train.ids[:2000]).tolist()
    tokenizer = run.tokenizer()
    again = tokenizer.encode(tokenizer.decode(ids))
    same = sum(a == b for a, b in zip(ids, again, strict=False)) / max(1, len(ids))
    if same < 0.5:
        yield Problem(
            "data",
            N_("the tokenizer is not that of the data"),
            N_("{share:.0%} of the tokens survive decoding and encoding", share=same),
            N_("restore the tokenizer.json that the data was written with"),
        )


CHECKS = (
    RunCheck(N_("overlap"), N_("held-out text is new"), N_("a known text makes the loss too good"), _overlap),
    RunCheck(N_("repetition"), N_("passages differ"), N_("copies are learned by heart"), _repeats),
    RunCheck(N_("unseen tokens"), N_("every held-out token was trained"), N_("others are random"), _unseen),
    RunCheck(
        N_("tokenizer and data"),
        N_("tokens survive decoding and encoding"),
        N_("else they name other texts"),
        _round_trip,
    ),
)
