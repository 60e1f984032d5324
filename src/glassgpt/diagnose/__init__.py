"""Floor 3: what a text asks for and what a model of it is worth. Never imports torch."""

from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.initial_loss import expected_initial_loss, initial_loss_noise
from glassgpt.diagnose.ladder import baselines
from glassgpt.diagnose.ngram import NGram
from glassgpt.diagnose.ranking import Verdict, verdict
from glassgpt.diagnose.score import Score

__all__ = [
    "Finding",
    "NGram",
    "Outcome",
    "Score",
    "Verdict",
    "baselines",
    "expected_initial_loss",
    "initial_loss_noise",
    "verdict",
]
