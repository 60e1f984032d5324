"""Floor 3: what a text asks for and what a model of it is worth. Never imports torch."""

from glassgpt.diagnose.answers import (
    Answers,
    AnswersVerdict,
    answers_verdict,
    bleu,
    exact_answers,
)
from glassgpt.diagnose.counted_answers import (
    copy_source,
    counted_classes,
    most_frequent,
    most_frequent_per_question,
    target_ngram,
)
from glassgpt.diagnose.counted_replies import Said, counted_replies
from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.initial_loss import expected_initial_loss, initial_loss_noise
from glassgpt.diagnose.ladder import baselines
from glassgpt.diagnose.ngram import NGram
from glassgpt.diagnose.ranking import Verdict, verdict
from glassgpt.diagnose.score import Score
from glassgpt.diagnose.two_sided import TwoSided

__all__ = [
    "Answers",
    "AnswersVerdict",
    "Finding",
    "NGram",
    "Outcome",
    "Said",
    "Score",
    "TwoSided",
    "Verdict",
    "answers_verdict",
    "baselines",
    "bleu",
    "copy_source",
    "counted_classes",
    "counted_replies",
    "exact_answers",
    "expected_initial_loss",
    "initial_loss_noise",
    "most_frequent",
    "most_frequent_per_question",
    "target_ngram",
    "verdict",
]
