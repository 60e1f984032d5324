"""What answering costs without a neural network: copying, the most frequent answer, counted n-grams.

All is learned from the training examples and measured on the held-out ones. No model runs here; what a
verdict makes of it is answers.py.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from glassgpt.diagnose.accuracy import Accuracy, exact_answers
from glassgpt.diagnose.ngram import MAX_ORDER, NGram
from glassgpt.diagnose.score import Score
from glassgpt.diagnose.text_baselines import MAX_GRAMS, MAX_TRAIN_BYTES, NAMES, choose_order, cost
from glassgpt.errors import UserError
from glassgpt.tokenizers import CharTokenizer

CLASS_ORDER = 5
"""Symbols in the n-grams of `ngram_classifier`."""
MAX_COUNTED = 1 << 24
"""Characters that `ngram_classifier` counts, all classes together."""
MAX_ASKED = 1 << 26
"""Characters it predicts, times classes."""
BATCH = 1 << 20
"""Symbols it predicts at once, about."""


def copy_source(sources: Sequence[str], targets: Sequence[str]) -> Accuracy:
    """Answering with the question: the source unchanged."""
    return exact_answers("copying the source", sources, targets)


def most_frequent(train_targets: Sequence[str], val_targets: Sequence[str]) -> Accuracy:
    """Always answering what is most frequent in training; the first of several."""
    answer = _commonest(train_targets)
    shown = answer if len(answer) <= 40 else f"{answer[:39]}…"
    given = [answer] * len(val_targets)
    return exact_answers("the most frequent answer", given, val_targets, f"always “{shown}”")


def most_frequent_per_question(
    train_questions: Sequence[str],
    train_targets: Sequence[str],
    val_questions: Sequence[str],
    val_targets: Sequence[str],
) -> Accuracy:
    """Answering each question with its most frequent answer in training, not looking at the image.

    A question that training never saw gets the most frequent answer of all.

    >>> train = ["what color?", "what color?", "how many?"], ["red", "red", "2"]
    >>> most_frequent_per_question(*train, ["how many?", "where?"], ["2", "blue"]).n_correct
    1
    """
    targets_of: defaultdict[str, list[str]] = defaultdict(list)
    for question, target in zip(train_questions, train_targets, strict=True):
        targets_of[question].append(target)
    default = _commonest(train_targets)
    answer = {question: _commonest(targets) for question, targets in targets_of.items()}
    n_new = sum(question not in answer for question in val_questions)
    detail = f"{n_new:,} of {len(val_questions):,} questions are not in training" if n_new else ""
    given = [answer.get(question, default) for question in val_questions]
    return exact_answers("the most frequent answer to each question", given, val_targets, detail)


def _commonest(answers: Sequence[str]) -> str:
    """The most frequent; of several, the first."""
    if not answers:
        raise UserError("0 training examples to count answers in; give at least one")
    return Counter(answers).most_common(1)[0][0]


def ngram_classifier(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    val_texts: Sequence[str],
    val_labels: Sequence[str],
) -> Accuracy:
    """A Bayes classifier: the class whose counted 5-grams of characters make the text most likely wins.

    The likelihood is multiplied by the class's share in training. Each text stands between newlines, so
    that its beginning and end count, and its neighbors don't. To stay under a minute, classes with much
    text are counted on every 2nd, 3rd, … text, and of very many or long texts only the beginning is read;
    `detail` says so.
    """
    texts_of: defaultdict[str, list[str]] = defaultdict(list)
    for text, label in zip(train_texts, train_labels, strict=True):
        texts_of[label].append(text)
    if not texts_of:
        raise UserError("0 training examples to count classes in; give at least one of each class")
    classes = sorted(texts_of)
    room = MAX_COUNTED // len(classes)
    steps = {label: max(1, math.ceil(sum(map(len, texts)) / room)) for label, texts in texts_of.items()}
    n_read = _readable(val_texts, len(classes))
    tokenizer = CharTokenizer.train(["\n", *train_texts])
    pieces = [_closed(tokenizer, text[:n_read]) for text in val_texts]
    costs = np.empty((len(classes), len(val_texts)))
    for row, label in zip(costs, classes, strict=True):
        counted = [_closed(tokenizer, text) for text in ["", *texts_of[label][:: steps[label]]]]
        ids = np.concatenate(counted)[:room]
        model = NGram(ids, tokenizer.n_vocab, range(1, CLASS_ORDER + 1), MAX_GRAMS)
        row[:] = list(_costs(model, pieces, before=counted[0]))
        row -= math.log(len(texts_of[label]) / len(train_texts))
    notes = [f"{CLASS_ORDER}-grams of each class's characters"]
    if (step := max(steps.values())) > 1:
        notes.append(f"of classes with much text, one training text in {step} is counted")
    if any(len(text) > n_read for text in val_texts):
        notes.append(f"of each text, the first {n_read:,} characters are read")
    given = [classes[index] for index in costs.argmin(axis=0)]
    return exact_answers("counted n-grams of each class", given, val_labels, "; ".join(notes))


def _readable(texts: Sequence[str], n_classes: int) -> int:
    """How many characters of each text there is time to read."""
    if sum(map(len, texts)) * n_classes <= MAX_ASKED:
        return max(map(len, texts), default=0)
    return max(100, MAX_ASKED // (len(texts) * n_classes))


def _closed(tokenizer: CharTokenizer, text: str) -> np.ndarray:
    """A text's ids and so many newlines that nothing of it is in the context of the next."""
    return tokenizer.encode_array(text + "\n" * (CLASS_ORDER - 1))


def _costs(model: NGram, pieces: Sequence[np.ndarray], before: np.ndarray) -> Iterator[float]:
    """What each piece costs in nats, `before` standing before the first."""
    ends = np.cumsum([len(piece) for piece in pieces])
    cuts = np.searchsorted(ends, np.arange(0, ends[-1] if len(ends) else 0, BATCH)).tolist()
    for first, last in pairwise(sorted({*cuts, len(pieces)})):
        batch = pieces[first:last]
        probabilities = model.probabilities(np.concatenate([before, *batch]), len(before))
        starts = np.cumsum([0, *map(len, batch[:-1])])
        yield from -np.add.reduceat(np.log(probabilities[max(model.orders)]), starts)


def target_ngram(train_targets: Sequence[str], val_targets: Sequence[str]) -> Score:
    """The best counted n-gram over the targets alone: what answering costs without looking at the source.

    Each target is closed by a newline, when counting and when measuring, so `n_chars` is the characters of
    `val_targets` and one for each. The order is chosen on the last tenth of the training targets. A model
    whose loss stays about here may be ignoring its source; one well below it can't be.

    >>> target_ngram(["ja", "nein"] * 50, ["ja", "nein"]).n_chars
    8
    """
    train, val = ("".join(f"{target}\n" for target in targets) for targets in (train_targets, val_targets))
    if not val or not train:
        raise UserError(
            f"{len(train_targets):,} targets to count and {len(val_targets):,} to measure on; "
            "give some of both"
        )
    notes = ["over the targets alone, without the source, each closed by a newline"]
    if len(train) > MAX_TRAIN_BYTES:
        notes.append(f"counted on the last {MAX_TRAIN_BYTES:,} characters of the training targets")
    tokenizer = CharTokenizer.train([train])
    history = tokenizer.encode_array(train[-MAX_TRAIN_BYTES:])
    order = choose_order(history, tokenizer.n_vocab)
    model = NGram(history, tokenizer.n_vocab, {order})
    context = history[-MAX_ORDER:]
    ids = np.concatenate([context, tokenizer.encode_array(val)])
    nats = cost(model.probabilities(ids, len(context))[order])
    name = NAMES.get(order, f"{order}-gram")
    return Score(name, nats, len(val), len(val.encode()), "; ".join(notes))
