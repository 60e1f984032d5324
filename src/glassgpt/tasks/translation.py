"""The task `translation`: from a source text to a target text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from glassgpt.config import ModelConfig
from glassgpt.data import (
    BEGIN,
    END,
    Example,
    PairTemplate,
    Template,
    evidence_of_pairs,
    read_dataset,
    read_pairs,
)
from glassgpt.diagnose import RARE, bleu, exact_answers
from glassgpt.errors import UserError
from glassgpt.generate import translate
from glassgpt.language import N_
from glassgpt.models import Model, Seq2Seq
from glassgpt.objective import Measured
from glassgpt.tasks.answers import AnswerData, answer_inputs, fit
from glassgpt.tasks.base import Inputs, Prompt, Task
from glassgpt.tokenizers import Tokenizer


class TranslationData(AnswerData):
    """Pairs of a source and a target."""

    asked = N_("sources")

    @staticmethod
    def template(config: ModelConfig, tokenizer: Tokenizer) -> Template:
        return PairTemplate(tokenizer)

    def answers(self, model: Model, rows: Sequence[int]) -> list[str]:
        assert isinstance(model, Seq2Seq)
        return list(translate(model, self.tokenizer, [self.question(row) for row in rows], beams=1))

    def more_figures(self, model: Model, measured: Measured) -> dict[str, float]:
        """Measure BLEU if few translations are exact and the targets are long enough for it."""
        rows = range(0, len(self.data.val), self.verdict_stride)
        if measured.n_correct >= RARE * len(rows):
            return {}
        targets = [self.target(row) for row in rows]
        if bleu(targets, targets) is None:  # too short, or sacrebleu is missing
            return {}
        return dict(exact_answers("", self.answers(model, rows), targets).figures)


def _inputs(model: Model, tokenizer: Tokenizer, prompt: Prompt) -> Inputs:
    assert isinstance(model, Seq2Seq)
    text, target = prompt.text, prompt.target
    if not text.strip():
        raise UserError("there is nothing to look at: the text is empty. Pass a text to translate.")
    target = next(translate(model, tokenizer, [text], beams=1)) if target is None else target
    example = Example(target, text)
    return answer_inputs(model, PairTemplate(tokenizer), example, is_written=prompt.target is None)


TASK = Task(
    name="translation",
    families=("seq2seq",),
    read=lambda config: read_dataset(config) or read_pairs(config.data),
    data=TranslationData,
    inputs=_inputs,
    takes=frozenset({"target", "hide"}),
    commands=("translate",),
    ability=N_("turn one text into another"),
    usage=N_('Use it        glassgpt translate {run} "a text like those it learned from"'),
    evidence=lambda config: evidence_of_pairs(config.data),
    specials=(BEGIN, END),
    fit=partial(fit, TranslationData),
)
