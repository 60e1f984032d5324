"""Baselines, verdicts and findings about a text or a model."""

from glassgpt.diagnose.accuracy import RARE, Accuracy, bleu, exact_answers
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
from glassgpt.diagnose.gap_baselines import masked_baselines
from glassgpt.diagnose.initial_loss import expected_initial_loss, initial_loss_noise
from glassgpt.diagnose.ngram import NGram
from glassgpt.diagnose.score import Kind, Score
from glassgpt.diagnose.text_baselines import baselines
from glassgpt.diagnose.verdict import Verdict, judge

__all__ = [
    "RARE",
    "Accuracy",
    "BidirectionalNGram",
    "Finding",
    "Kind",
    "NGram",
    "Outcome",
    "Score",
    "Utterance",
    "Verdict",
    "baselines",
    "bleu",
    "copy_source",
    "exact_answers",
    "expected_initial_loss",
    "initial_loss_noise",
    "judge",
    "masked_baselines",
    "most_frequent",
    "most_frequent_per_question",
    "ngram_classifier",
    "reply_baselines",
    "target_ngram",
]
