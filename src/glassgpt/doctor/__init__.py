"""The doctor: active checks of models, training and data that say what is wrong, and the remedy."""

from glassgpt.doctor.anatomy import category_of
from glassgpt.doctor.checks import Check, Problem, RunCheck
from glassgpt.doctor.examination import CHECKS, examine, run_checks
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.doctor.visit import examine_outcome, examine_run, training_batch, training_loss

__all__ = [
    "CHECKS",
    "Check",
    "Problem",
    "RunCheck",
    "Skip",
    "Subject",
    "category_of",
    "examine",
    "examine_outcome",
    "examine_run",
    "run_checks",
    "training_batch",
    "training_loss",
]
