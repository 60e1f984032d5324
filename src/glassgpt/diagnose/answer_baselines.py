"""Baselines of answers: copying, the most frequent answer, and n-grams, without a neural network.

Counted on the training examples, measured on the held-out ones. Nothing here runs a model; verdict.py
compares.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from glassgpt.diagnose.accuracy import Accuracy, exact_answers
from glassgpt.diagnose.ngram import (
    MAX_GRAMS,
    MAX_ORDER,
    MAX_TRAIN_BYTES,
    NGram,
    choose_order,
    ngram_score,
)
from glassgpt.diagnose.score import Score, total_nats
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tokenizers import CharTokenizer

CLASS_ORDER = 5
"""Order of the n-grams of `ngram_classifier`."""
MAX_CLASS_CHARS = 1 << 24
"""Characters that `ngram_classifier` counts, all classes together."""
MAX_PREDICTIONS = 1 << 26
"""Characters that it predicts, times classes."""
BATCH = 1 << 20
"""Approximate number of symbols that it predicts at once."""


def copy_source(sources: Sequence[str], targets: Sequence[str]) -> Accuracy:
    """Score the unchanged source as the answer."""
    return exact_answers(N_("copying the source"), sources, targets, kind="copy")


def most_frequent(train_targets: Sequence[str], val_targets: Sequence[str]) -> Accuracy:
    """Score the most frequent training answer; the first of several."""
    answer = _most_common(train_targets)
    shown = answer if len(answer) <= 40 else f"{answer[:39]}…"
    answers, detail = [answer] * len(val_targets), f"always “{shown}”"
    return exact_answers(N_("the most frequent answer"), answers, val_targets, detail, "most_frequent")


def most_frequent_per_question(
    train_questions: Sequence[str],
    train_targets: Sequence[str],
    val_questions: Sequence[str],
    val_targets: Sequence[str],
) -> Accuracy:
    """Score the most frequent training answer to each question, without its image.

    A question that is not in training gets the most frequent answer of all.

    >>> train = ["what color?", "what color?", "how many?"], ["red", "red", "2"]
    >>> most_frequent_per_question(*train, ["how many?", "where?"], ["2", "blue"]).n_correct
    1
    """
    targets_of: defaultdict[str, list[str]] = defaultdict(list)
    for question, target in zip(train_questions, train_targets, strict=True):
        targets_of[question].append(target)
    default = _most_common(train_targets)
    answer_to = {question: _most_common(targets) for question, targets in targets_of.items()}
    n_new = sum(question not in answer_to for question in val_questions)
    detail = f"{n_new:,} of {len(val_questions):,} questions are not in training" if n_new else ""
    answers = [answer_to.get(question, default) for question in val_questions]
    name = N_("the most frequent answer to each question")
    return exact_answers(name, answers, val_targets, detail, "most_frequent")


def _most_common(answers: Sequence[str]) -> str:
    """Return the most frequent answer; the first of several."""
    if not answers:
        raise UserError("baselines: 0 training examples to count answers in. Give at least one.")
    return Counter(answers).most_common(1)[0][0]


def ngram_classifier(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    val_texts: Sequence[str],
    val_labels: Sequence[str],
    max_chars: int = MAX_CLASS_CHARS,
) -> Accuracy:
    """Score a Bayes classifier over character 5-grams of each class.

    The class with the highest likelihood times its share in training wins. A newline opens and closes each
    text, so its beginning and end count and neighboring texts do not. To stay under a minute, a class with
    much text is counted on every 2nd, 3rd, … text, and of many or long texts only the beginning is read;
    `detail` says so. max_chars: characters to count, all classes together.
    """
    texts_of: defaultdict[str, list[str]] = defaultdict(list)
    for text, label in zip(train_texts, train_labels, strict=True):
        texts_of[label].append(text)
    if not texts_of:
        raise UserError(
            "baselines: 0 training examples to count classes in. Give at least one of each class."
        )
    classes = sorted(texts_of)
    limit = max(1, max_chars // len(classes))
    steps = {label: max(1, math.ceil(sum(map(len, texts)) / limit)) for label, texts in texts_of.items()}
    n_read = _chars_to_read(val_texts, len(classes))
    tokenizer = CharTokenizer.train(["\n", *train_texts])
    pieces = [_closed(tokenizer, text[:n_read]) for text in val_texts]
    losses = np.empty((len(classes), len(val_texts)))
    for row, label in zip(losses, classes, strict=True):
        counted = [_closed(tokenizer, text) for text in ["", *texts_of[label][:: steps[label]]]]
        ids = np.concatenate(counted)[:limit]
        model = NGram(ids, tokenizer.n_vocab, range(1, CLASS_ORDER + 1), MAX_GRAMS)
        row[:] = list(_losses(model, pieces, before=counted[0]))
        row -= math.log(len(texts_of[label]) / len(train_texts))
    notes = [f"{CLASS_ORDER}-grams of each class's characters"]
    if (step := max(steps.values())) > 1:
        notes.append(f"of classes with much text, one training text in {step} is counted")
    if any(len(text) > n_read for text in val_texts):
        notes.append(f"of each text, the first {n_read:,} characters are read")
    answers = [classes[index] for index in losses.argmin(axis=0)]
    return exact_answers(N_("counted n-grams of each class"), answers, val_labels, "; ".join(notes), "ngram")


def _chars_to_read(texts: Sequence[str], n_classes: int) -> int:
    """Return the number of characters of each text to read, at least 100."""
    if sum(map(len, texts)) * n_classes <= MAX_PREDICTIONS:
        return max(map(len, texts), default=0)
    return max(100, MAX_PREDICTIONS // (len(texts) * n_classes))


def _closed(tokenizer: CharTokenizer, text: str) -> np.ndarray:
    """Encode a text, closed by newlines that fill the context of the next text."""
    return tokenizer.encode_array(text + "\n" * (CLASS_ORDER - 1))


def _losses(model: NGram, pieces: Sequence[np.ndarray], before: np.ndarray) -> Iterator[float]:
    """Yield the loss of each piece in nats, with `before` as first context."""
    ends = np.cumsum([len(piece) for piece in pieces])
    cuts = np.searchsorted(ends, np.arange(0, ends[-1] if len(ends) else 0, BATCH)).tolist()
    for first, last in pairwise(sorted({*cuts, len(pieces)})):
        batch = pieces[first:last]
        probabilities = model.probabilities(np.concatenate([before, *batch]), len(before))
        starts = np.cumsum([0, *map(len, batch[:-1])])
        yield from -np.add.reduceat(np.log(probabilities[max(model.orders)]), starts)


def target_ngram(
    train_targets: Sequence[str], val_targets: Sequence[str], max_chars: int = MAX_TRAIN_BYTES
) -> Score:
    """Score the best n-gram over the targets alone, without their sources.

    A newline closes each target, in counting and measuring, so `n_chars` is the characters of `val_targets`
    plus one for each. The order is chosen on the last tenth of the training targets. A model with about
    this loss may ignore its source; a model with a much lower loss does not. max_chars: characters of the
    training targets to count, from the end; `detail` says so where some are left out.

    >>> target_ngram(["ja", "nein"] * 50, ["ja", "nein"]).n_chars
    8
    """
    train, val = ("".join(f"{target}\n" for target in targets) for targets in (train_targets, val_targets))
    if not val or not train:
        counts = f"{len(train_targets):,} targets to count and {len(val_targets):,} to measure on"
        raise UserError("baselines: {counts}. Give at least one of both.", counts=counts)
    notes = ["over the targets alone, without the source, each closed by a newline"]
    if len(train) > max_chars:
        notes.append(f"counted on the last {max_chars:,} characters of the training targets")
    tokenizer = CharTokenizer.train([train])
    history = tokenizer.encode_array(train[-max_chars:])
    order = choose_order(history, tokenizer.n_vocab)
    model = NGram(history, tokenizer.n_vocab, {order})
    context = history[-MAX_ORDER:]
    ids = np.concatenate([context, tokenizer.encode_array(val)])
    nats = total_nats(model.probabilities(ids, len(context))[order])
    return ngram_score(order, nats, len(val), len(val.encode()), "; ".join(notes))
