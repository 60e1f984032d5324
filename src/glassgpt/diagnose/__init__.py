"""Baselines, verdicts and findings about a text or a model."""

from glassgpt.diagnose.accuracy import RARE, Accuracy, bleu, bleu_signature, exact_answers
from glassgpt.diagnose.advice import advice_on, remedy_of
from glassgpt.diagnose.answer_baselines import (
    copy_source,
    most_frequent,
    most_frequent_per_question,
    ngram_classifier,
    target_ngram,
)
from glassgpt.diagnose.bidirectional_ngram import BidirectionalNGram
from glassgpt.diagnose.chat_baselines import Utterance, reply_baselines, row_parts
from glassgpt.diagnose.comparison import (
    Comparison,
    Sweep,
    Swept,
    compare_all,
    compare_pairs,
    nats_figure,
    pairs_needed,
)
from glassgpt.diagnose.copying import (
    CHUNK,
    MIN_SPAN,
    CopiedSpan,
    Copying,
    CopyingScore,
    IndexCost,
    SuffixIndex,
    build_index,
    check_installed,
    index_cost,
    longest_matches,
    measure_copying,
    open_index,
    span_source,
)
from glassgpt.diagnose.curve import Curve, Trend, trend
from glassgpt.diagnose.finding import MARKS, Finding, Outcome
from glassgpt.diagnose.gap_baselines import masked_baselines, masked_parts
from glassgpt.diagnose.initial_loss import expected_initial_loss, initial_loss_noise
from glassgpt.diagnose.interval import MIN_PARTS, PartSums, loss_interval, n_parts, part_of
from glassgpt.diagnose.loss_verdict import is_at_limit, restored_note
from glassgpt.diagnose.ngram import NGram
from glassgpt.diagnose.score import Kind, Score, round_parts, row_title
from glassgpt.diagnose.sign_flips import MAX_PAIRS, MIN_PAIRS, Paired, is_decided, paired
from glassgpt.diagnose.symptom import Examination, Symptom, Trial
from glassgpt.diagnose.text_baselines import FULL, Limits, baselines, limits
from glassgpt.diagnose.verdict import Verdict, judge, judged_again
from glassgpt.diagnose.verdict_table import BAR, VerdictTable

__all__ = [
    "BAR",
    "CHUNK",
    "FULL",
    "MARKS",
    "MAX_PAIRS",
    "MIN_PAIRS",
    "MIN_PARTS",
    "MIN_SPAN",
    "RARE",
    "Accuracy",
    "BidirectionalNGram",
    "Comparison",
    "CopiedSpan",
    "Copying",
    "CopyingScore",
    "Curve",
    "Examination",
    "Finding",
    "IndexCost",
    "Kind",
    "Limits",
    "NGram",
    "Outcome",
    "Paired",
    "PartSums",
    "Score",
    "SuffixIndex",
    "Sweep",
    "Swept",
    "Symptom",
    "Trend",
    "Trial",
    "Utterance",
    "Verdict",
    "VerdictTable",
    "advice_on",
    "baselines",
    "bleu",
    "bleu_signature",
    "build_index",
    "check_installed",
    "compare_all",
    "compare_pairs",
    "copy_source",
    "exact_answers",
    "expected_initial_loss",
    "index_cost",
    "initial_loss_noise",
    "is_at_limit",
    "is_decided",
    "judge",
    "judged_again",
    "limits",
    "longest_matches",
    "loss_interval",
    "masked_baselines",
    "masked_parts",
    "measure_copying",
    "most_frequent",
    "most_frequent_per_question",
    "n_parts",
    "nats_figure",
    "ngram_classifier",
    "open_index",
    "paired",
    "pairs_needed",
    "part_of",
    "remedy_of",
    "reply_baselines",
    "restored_note",
    "round_parts",
    "row_parts",
    "row_title",
    "span_source",
    "target_ngram",
    "trend",
]
