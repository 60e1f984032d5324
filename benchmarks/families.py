"""Every family on a real task and held-out examples, compared with its bar.

    python benchmarks/families.py                    # all, one after the other: about 45 minutes
    python benchmarks/families.py dates scenes       # some
    python benchmarks/families.py multi30k --minutes 120

Each trains through the same session as `glassgpt train`, for the minutes of its bar, and prints its figures
next to its bar. Exits with 1 if one is missed. multi30k and the encoder's texts are looked for in
$GLASSGPT_DATA. Needs `pip install '.[data]'`.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import glassgpt as gg
from glassgpt.data import (
    IGNORE,
    Example,
    ExampleSplit,
    ImageTemplate,
    PairTemplate,
    cell_of,
    eval_rows,
    kind_of,
    located_test_dates,
    make_scenes,
    multi30k_en_de,
    open_python,
    open_shakespeare,
    write_examples,
)
from glassgpt.data.datasets.digits import CELL
from glassgpt.diagnose import Accuracy, Score, bleu
from glassgpt.generate import translate
from glassgpt.models import GPT, Model, Seq2Seq
from glassgpt.nn import Block, attention_weights
from glassgpt.objective import CrossEntropy
from glassgpt.tokenizers import Tokenizer
from glassgpt.train import Evaluated
from report import write_report


@dataclass(frozen=True)
class Figure:
    """One measured number and the bar that it has to reach, or for losses stay below."""

    name: str
    value: float
    bar: float
    below: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.bar if self.below else self.value >= self.bar

    def __str__(self) -> str:
        sign = "≤" if self.below else "≥"
        outcome = "met   " if self.met else "MISSED"
        return f"  {outcome}  {self.value:8.3f}  (bar {sign} {self.bar:g})  {self.name}"


@dataclass
class Trained:
    """A finished run: its best model, its tokenizer, what it was told at the end, and how long it took."""

    model: Model
    tokenizer: Tokenizer
    verdict: gg.Verdict
    steps: int
    minutes: float


def train(source: str, minutes: float, **tables: dict[str, Any]) -> Trained:
    """A run through the same door as the command line's."""
    settings = {"data": {"sources": [source]}, "train": {"minutes": minutes}}
    for name, table in tables.items():
        settings.setdefault(name, {}).update(table)
    with tempfile.TemporaryDirectory() as folder:
        session = gg.start(gg.RunConfig.model_validate(settings), out=Path(folder) / "run")
        for event in session.run():
            if isinstance(event, Evaluated):
                print(
                    f"    step {event.step}: {event.nats_per_char:.4f} nats/char, exact {event.exact}",
                    flush=True,
                )
        verdict, trainer = session.verdict(), session.trainer
        print("  " + verdict.sentence)
        for row in verdict.accuracies:
            print(f"    {row.name}: {row.share:.3f} {dict(row.figures)}")
        model, tokenizer = gg.load_run(Path(folder) / "run")
        return Trained(model, tokenizer, verdict, trainer.step, trainer.elapsed_s / 60)


def cross_weights(model: Model, tokens: Tensor, source: Tensor | None) -> list[Tensor]:
    """The cross-attention weights of every layer, each (B, H, T, S)."""
    found: list[Tensor] = []

    def look(_: object, given: tuple, __: object) -> None:
        q, k, _v, mask = given
        found.append(attention_weights(q, k, mask))

    assert isinstance(model, GPT) and source is not None
    cores = [block.cross_attn.sdpa for block in model.blocks if isinstance(block, Block) and block.cross_attn]
    handles = [core.register_forward_hook(look) for core in cores]
    try:
        with torch.inference_mode():
            model(tokens, memory=model.encode(source))
    finally:
        for handle in handles:
            handle.remove()
    return found


def run_dates(minutes: float) -> list[Figure]:
    """ISO dates from 16 locales' ways of writing them, and where the month's digits look."""
    trained = train("dates", minutes)
    located = located_test_dates()
    examples = [example for example, _ in located]
    assert isinstance(trained.model, Seq2Seq)
    written = list(translate(trained.model, trained.tokenizer, [e.source for e in examples], beams=1))
    exact = sum(said == e.target for said, e in zip(written, examples, strict=True)) / len(examples)
    encoding = PairTemplate(trained.tokenizer)
    hits, n = Counter(), 0
    for example, month in located:
        inside = month_tokens(trained.tokenizer, example, month)
        answer = encoding.answer(example)
        tokens = torch.tensor([[*encoding.prompt(example), *answer[:-1]]])
        layers = cross_weights(trained.model, tokens, torch.tensor([encoding.source(example)]))
        for place in (5, 6):  # YYYY-MM-DD: position t of the decoder writes character t of the answer
            n += 1
            for layer, weights in enumerate(layers):
                for head in range(weights.shape[1]):
                    hits[layer, head] += bool(inside[weights[0, head, place].argmax()])
    (layer, head), best = hits.most_common(1)[0]
    return [
        Figure("dates: exact on unseen dates", exact, 0.99),
        Figure(f"dates: month digits that look at the month (layer {layer}, head {head})", best / n, 0.90),
        without_source(trained),
    ]


def month_tokens(tokenizer: Tokenizer, example: Example, month: slice) -> list[bool]:
    """Which tokens of the source hold a part of the month."""
    start, stop = (len(example.source[:at].encode()) for at in (month.start, month.stop))
    inside, at = [], 0
    for token in tokenizer.encode(example.source):
        end = at + len(tokenizer.token_bytes([token]))
        inside.append(at < stop and end > start)
        at = end
    return inside


def without_source(trained: Trained) -> Figure:
    """With the memory zeroed the model must be no better than the best answer that needs no source."""
    counted = max(row.share for row in trained.verdict.baselines if isinstance(row, Accuracy))
    hidden = trained.verdict.without_source
    assert hidden is not None
    name = f"cut from its source (best without one: {counted:.3f})"
    return Figure(name, hidden.share, counted + 0.02, below=True)


def run_scenes(minutes: float) -> list[Figure]:
    """Questions about handwritten digits that were never seen, and where the eye rests."""
    trained = train("scenes", minutes)
    corpus = make_scenes()
    split = encoded(corpus.test, trained, corpus.images)
    asked, right, mass = Counter(), Counter(), defaultdict(list)
    objective = CrossEntropy(trained.model).eval()
    with torch.inference_mode():
        for rows in eval_rows(split, 8192):
            batch = split.batch(rows)
            hits = objective.logits(batch).argmax(-1) == batch.targets
            hits = (hits | (batch.targets == IGNORE)).all(-1)
            for row, hit in zip(rows.tolist(), hits.tolist(), strict=True):
                kind = kind_of(corpus.test[row].question)
                asked[kind] += 1
                right[kind] += hit
    side = CELL // trained.model.config.patch_size
    for row, example in enumerate(corpus.test):
        if kind_of(example.question) != "what":
            continue
        batch = split.batch(torch.tensor([row]).numpy())
        y, x = cell_of(example.question)
        for layer, weights in enumerate(cross_weights(trained.model, batch.tokens, batch.source)):
            grid = weights[0, :, split.n_prompt[row] - 1].view(-1, 2 * side, 2 * side)
            for head, share in enumerate(
                grid[:, y * side : (y + 1) * side, x * side : (x + 1) * side].sum((1, 2)).tolist()
            ):
                mass[layer, head].append(share)
    means = {key: sum(shares) / len(shares) for key, shares in mass.items()}
    layer, head = max(means, key=means.__getitem__)
    print({kind: round(right[kind] / asked[kind], 4) for kind in asked})
    return [
        Figure("scenes: what is at PLACE", right["what"] / asked["what"], 0.97),
        Figure("scenes: all questions", right.total() / asked.total(), 0.92),
        Figure(f"scenes: attention in the asked cell (layer {layer}, head {head})", means[layer, head], 0.80),
        without_source(trained),
    ]


def encoded(examples: Sequence[Example], trained: Trained, images: Any = None) -> ExampleSplit:
    """Held-out examples as the model reads them."""
    kind = PairTemplate if images is None else ImageTemplate
    encoding = kind(trained.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": examples, "val": examples}
        return write_examples(splits, encoding, images, Path(folder)).val


def run_multi30k(minutes: float) -> list[Figure]:
    """English captions to German, on the test set of 2016."""
    trained = train("multi30k-en-de", minutes)
    test = multi30k_en_de().test
    assert isinstance(trained.model, Seq2Seq)
    given = list(translate(trained.model, trained.tokenizer, [e.source for e in test], beams=4))
    for example, said in list(zip(test, given, strict=True))[:5]:
        print(f"    {example.source}\n      {said}\n      ({example.target})")
    score = bleu(given, [e.target for e in test])
    assert score is not None, "sacrebleu is not installed: pip install '.[data]'"
    return [Figure("multi30k: sacreBLEU on test_2016_flickr, beams 4", score, 33.0)]


def run_encoder(minutes: float) -> list[Figure]:
    """Hidden characters of tinyshakespeare, against counted neighbors in the same places."""
    trained = train("shakespeare", minutes, model={"family": "encoder"})
    model, scores = trained.verdict.model, trained.verdict.scores
    counted = next(score.nats_per_char for score in scores if score.kind == "bidirectional_ngram")
    assert isinstance(model, Score)
    return [Figure("encoder: nats per masked character", model.nats_per_char, counted, below=True)]


def run_classify(minutes: float) -> list[Figure]:
    """Sentences of Python's documentation and of Shakespeare, told apart."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "sentences.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(two_classes())
        trained = train(str(table), minutes, model={"family": "encoder"})
    mine = trained.verdict.model
    assert isinstance(mine, Accuracy)
    return [Figure(f"classifier: right of {mine.n} unseen sentences", mine.share, 0.97)]


def two_classes(n: int = 5_000) -> Iterator[tuple[str, str]]:
    """As many sentences of each, of 30 to 150 characters, shuffled."""
    rows = []
    for label, open_text in (("python", open_python), ("shakespeare", open_shakespeare)):
        text = open_text().read().decode()
        whole = (" ".join(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s+|\n\n+", text))
        sentences = sorted({sentence for sentence in whole if 30 <= len(sentence) <= 150})
        rows += [(sentence, label) for sentence in random.Random(0).sample(sentences, n)]
    random.Random(1).shuffle(rows)
    return iter(rows)


TASKS: dict[str, tuple[Callable[[float], list[Figure]], float]] = {
    "dates": (run_dates, 3.0),
    "scenes": (run_scenes, 9.5),
    "encoder": (run_encoder, 4.8),
    "classify": (run_classify, 2.0),
    "multi30k": (run_multi30k, 24.0),
}
"""What to run, and minutes of training: under those of the bar, for what comes before and after."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--minutes", type=float, help="of training, instead of each bar's own")
    given = parser.parse_args()
    if unknown := set(given.tasks) - TASKS.keys():
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    missed = 0
    for name in given.tasks or TASKS:
        task, minutes = TASKS[name]
        minutes = given.minutes or minutes
        print(f"{name}: {minutes:g} minutes of training", flush=True)
        figures = task(minutes)
        print(*figures, sep="\n", flush=True)
        missed += sum(not figure.met for figure in figures)
        rows = [{"name": f.name, "value": f.value, "bar": f.bar, "met": f.met} for f in figures]
        write_report(
            f"families-{name}", {"minutes": minutes, "threads": torch.get_num_threads(), "figures": rows}
        )
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
