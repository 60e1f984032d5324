"""Baselines, verdicts and findings about a text or a model."""

from glassgpt.diagnose.accuracy import RARE, Accuracy, AccuracyVerdict, accuracy_verdict, bleu, exact_answers
from glassgpt.diagnose.answer_baselines import (
    copy_source,
    most_frequent,
    most_frequent_per_question,
    ngram_classifier,
    target_ngram,
)
from glassgpt.diagnose.bidirectional_ngram import BidirectionalNGram
from glassgpt.diagnose.chat_baselines import Utterance, reply_baselines
from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.initial_loss import expected_initial_loss, initial_loss_noise
from glassgpt.diagnose.ngram import NGram
from glassgpt.diagnose.score import Score
from glassgpt.diagnose.text_baselines import baselines
from glassgpt.diagnose.verdict import Verdict, judge

__all__ = [
    "RARE",
    "Accuracy",
    "AccuracyVerdict",
    "BidirectionalNGram",
    "Finding",
    "NGram",
    "Outcome",
    "Score",
    "Utterance",
    "Verdict",
    "accuracy_verdict",
    "baselines",
    "bleu",
    "copy_source",
    "exact_answers",
    "expected_initial_loss",
    "initial_loss_noise",
    "judge",
    "most_frequent",
    "most_frequent_per_question",
    "ngram_classifier",
    "reply_baselines",
    "target_ngram",
]
