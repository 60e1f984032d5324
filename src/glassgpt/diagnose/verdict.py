"""Verdict: a model ranked among its baselines, and one sentence about the result.

`judge` compares losses (rows are `Score`, loss_verdict.py) or correct answers (rows are `Accuracy`,
answer_verdict.py). Differences within their 95 % interval are too close to tell (interval.py, margin.py). The
course of the run decides the advice (curve.py, advice.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

from glassgpt.diagnose.accuracy import Accuracy
from glassgpt.diagnose.answer_verdict import answer_margin, compare_answers, ranked, scale_of
from glassgpt.diagnose.copying import Copying
from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Finding
from glassgpt.diagnose.loss_verdict import compare_losses, left_out_notes, loss_margin, phrase
from glassgpt.diagnose.margin import Margin
from glassgpt.diagnose.old_verdicts import upgrade
from glassgpt.diagnose.score import Score, row_title
from glassgpt.diagnose.verdict_table import VerdictTable, answers_table, loss_table
from glassgpt.errors import UserError
from glassgpt.language import N_, _
from glassgpt.notebook_html import paragraph

FORMAT = 2
"""Format of a stored verdict; files without a format are format 1."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """A model, its baselines (best first), one sentence, and the finding about the model.

    All rows are losses (`scores`) or all count correct answers (`accuracies`). Without a model there is no
    finding, and the sentence says what a model must reach. `print` and a notebook show the table.
    """

    model: Score | Accuracy | None
    baselines: tuple[Score, ...] | tuple[Accuracy, ...]
    sentence: str
    finding: Finding | None = None
    without_source: Accuracy | None = None
    """The same model with its source hidden."""
    asked: str = ""
    """Plural noun for the examples to answer: "questions", "sentences", "reviews"."""
    losses: tuple[Score, ...] = ()
    """Loss of count-based baselines on the text of the answers, for those that give no answer."""
    trend: Trend | None = None
    """The course of the run, if it is known."""
    notes: tuple[str, ...] = ()
    """Remarks on how the model was measured, and on the data."""
    copying: Copying | None = None
    """Copying of a sample of the run from the training text, if it was measured."""
    whole: float | None = None
    """Estimated loss of the model on all of the held-out text, in nats per character, if it was measured on
    some parts of it."""

    @property
    def loss(self) -> float | None:
        """Loss of the model on the whole held-out text in nats per character; None if rows are no losses.

        Unlike the rows' losses, it can be compared with those of other runs on this text.
        """
        if not isinstance(self.model, Score):
            return None
        return self.model.nats_per_char if self.whole is None else self.whole

    @property
    def rows(self) -> tuple[Score, ...] | tuple[Accuracy, ...]:
        """All rows, best first, the model's included."""
        return self.scores or self.accuracies

    @property
    def scores(self) -> tuple[Score, ...]:
        """All rows, best first, if they are losses; else empty."""
        rows = [row for row in (*self.baselines, self.model) if isinstance(row, Score)]
        return tuple(sorted(rows, key=lambda score: score.nats_per_char))

    @property
    def accuracies(self) -> tuple[Accuracy, ...]:
        """All rows, best first, if they count correct answers; else empty."""
        rows = [
            row for row in (*self.baselines, self.without_source, self.model) if isinstance(row, Accuracy)
        ]
        model = self.model if isinstance(self.model, Accuracy) else None
        return ranked(rows, scale_of(rows, model))

    @property
    def guesses(self) -> str:
        """Why the model's answers are guesses, in a clause; empty if they are not, or if nothing is known.

        An answering model guesses if it is not better than the best baseline; a model with a loss, if it is
        no better than the worst.
        """
        if self.finding is None or self.model is None or self.finding.outcome == "ok":
            return ""
        if isinstance(self.model, Score):
            worst = max((row for row in self.baselines if isinstance(row, Score)), key=_loss)
            if self.finding.outcome != "fail":
                return ""
            return N_("it predicts no better than {worst}", worst=phrase(worst))
        if not self.margin:
            return ""
        return N_(
            "on unseen {asked}, it is no better than {other}",
            asked=N_(self.asked),
            other=row_title(self.margin.over),
        )

    @property
    def margin(self) -> Margin | None:
        """Lead of the model over the best baseline, with its interval; None if there is nothing to rank."""
        if isinstance(self.model, Score):
            best = min((row for row in self.baselines if isinstance(row, Score)), key=_loss)
            return loss_margin(self.model, best)
        if self.model is None:
            return None
        return answer_margin([row for row in self.accuracies if row is not self.model], self.model)

    def table(self) -> VerdictTable:
        """Return all rows as text, best first."""
        if self.scores:
            return loss_table(self.scores, self.model)
        return answers_table(self.accuracies, self.losses, self.model)

    def __str__(self) -> str:
        return f"{self.table().to_text()}\n\n{_(self.sentence)}"

    def __repr__(self) -> str:
        return f"<Verdict: {self.sentence}>"

    def _repr_html_(self) -> str:
        notes = "".join(paragraph(_("note: {note}", note=note), faint=True) for note in self.notes)
        copying = paragraph(_("copying: {line}", line=self.copying.line)) if self.copying else ""
        return f"{self.table().to_html()}{paragraph(_(self.sentence))}{copying}{notes}"

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, ready for JSON."""
        return {
            "format": FORMAT,
            "model": _row_to_dict(self.model),
            "without_source": _row_to_dict(self.without_source),
            "baselines": [row.to_dict() for row in self.baselines],
            "losses": [score.to_dict() for score in self.losses],
            "asked": self.asked,
            "sentence": self.sentence,
            "finding": self.finding.to_dict() if self.finding else None,
            "margin": self.margin.to_dict() if self.margin else None,
            "trend": self.trend.to_dict() if self.trend else None,
            "notes": list(self.notes),
            "copying": self.copying.to_dict() if self.copying else None,
            "whole": self.whole,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild a verdict from `to_dict`, also from the two forms of format 1.

        Raises ValueError for a newer format and for wrong rows, KeyError or TypeError for other missing or
        wrong fields.
        """
        data = data if "format" in data else upgrade(data)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not supported, only {FORMAT}")
        without_source = data["without_source"]
        baselines = [_row_from_dict(row) for row in data["baselines"]]
        return cls(
            model=None if data["model"] is None else _row_from_dict(data["model"]),
            baselines=_of_one_type(baselines),
            sentence=data["sentence"],
            finding=Finding.from_dict(data["finding"]) if data["finding"] else None,
            without_source=None if without_source is None else Accuracy.from_dict(without_source),
            asked=data["asked"],
            losses=tuple(map(Score.from_dict, data["losses"])),
            trend=Trend.from_dict(data["trend"]) if data.get("trend") else None,
            notes=tuple(data.get("notes", ())),
            copying=Copying.from_dict(data["copying"]) if data.get("copying") else None,
            whole=None if data.get("whole") is None else _stored_loss(data["whole"]),
        )


def _stored_loss(loss: float) -> float:
    """Return a loss; raises ValueError unless it is a finite number of 0 or more."""
    if not 0 <= float(loss) < math.inf:
        raise ValueError(f"a loss of {loss!r}")
    return float(loss)


@overload
def judge(
    baselines: Sequence[Score],
    model: Score | None = None,
    *,
    trend: Trend | None = None,
    family: str = "gpt",
    notes: Sequence[str] = (),
) -> Verdict: ...
@overload
def judge(
    baselines: Sequence[Accuracy],
    model: Accuracy | None = None,
    *,
    without_source: Accuracy | None = None,
    asked: str = "questions",
    losses: Sequence[Score] = (),
    trend: Trend | None = None,
    notes: Sequence[str] = (),
) -> Verdict: ...
def judge(
    baselines: Sequence[Score] | Sequence[Accuracy],
    model: Score | Accuracy | None = None,
    *,
    without_source: Accuracy | None = None,
    asked: str = "questions",
    losses: Sequence[Score] = (),
    trend: Trend | None = None,
    family: str = "gpt",
    notes: Sequence[str] = (),
) -> Verdict:
    """Rank a model among baselines (one or more), or rank these alone.

    Losses are compared per character, on the same text. Correct answers are compared by their share, or by
    BLEU if every share is under `RARE` and both the model and a baseline have BLEU. `without_source`, the
    model with its source hidden, is compared as a baseline, too. `trend` is the course of the run, from which
    the advice follows; `family` is the model's; `notes` say how it was measured.

    Raises UserError for a loss that is not finite, as after training that diverged.

    >>> table, gpt = Score("bigram", 2500.0, 1000, 1000), Score("gpt", 1500.0, 1000, 1000)
    >>> judge([table], gpt).finding.outcome
    'ok'
    >>> table, model = Accuracy("the most frequent answer", 310, 1000), Accuracy("this model", 972, 1000)
    >>> judge([table], model).sentence[:58]
    'The model answers 97.2 % of 1,000 unseen questions exactly'
    """
    scores = [row for row in baselines if isinstance(row, Score)]
    answers = [row for row in baselines if isinstance(row, Accuracy)]
    if scores and isinstance(model, Score | None):
        rows, sentence, finding = compare_losses(scores, model, trend, family)
        notes = [*notes, *left_out_notes(scores, rows)]
        return Verdict(model, rows, sentence, finding, trend=trend, notes=tuple(notes))
    if not answers or not isinstance(model, Accuracy | None):
        raise UserError("there are no baselines of the model's kind. Use the baselines.json of the same run.")
    rows, sentence, finding = compare_answers(answers, model, without_source, asked, trend)
    return Verdict(model, rows, sentence, finding, without_source, asked, tuple(losses), trend, tuple(notes))


def _loss(score: Score) -> float:
    return score.nats_per_char


def _row_to_dict(row: Score | Accuracy | None) -> dict[str, Any] | None:
    return None if row is None else row.to_dict()


def _row_from_dict(data: dict[str, Any]) -> Score | Accuracy:
    return Score.from_dict(data) if "total_nats" in data else Accuracy.from_dict(data)


def _of_one_type(rows: Sequence[Score | Accuracy]) -> tuple[Score, ...] | tuple[Accuracy, ...]:
    scores = tuple(row for row in rows if isinstance(row, Score))
    accuracies = tuple(row for row in rows if isinstance(row, Accuracy))
    if scores and accuracies:
        raise ValueError("baselines mix losses and correct answers")
    return scores or accuracies


def judged_again(verdict: Verdict) -> Verdict:
    """Return a stored verdict with its sentence computed from its figures, in any language."""
    rows, model = verdict.baselines, verdict.model
    scores = [row for row in rows if isinstance(row, Score)]
    if isinstance(model, Score) and scores:
        return judge(scores, model, trend=verdict.trend, notes=verdict.notes)
    answers = [row for row in rows if isinstance(row, Accuracy)]
    if isinstance(model, Accuracy) and answers:
        return judge(
            answers,
            model,
            without_source=verdict.without_source,
            asked=verdict.asked,
            losses=verdict.losses,
            trend=verdict.trend,
            notes=verdict.notes,
        )
    return verdict
