"""The doctor: active checks of models, training and data that say what is wrong, and the remedy."""

from glassgpt.doctor.anatomy import category_of
from glassgpt.doctor.checks import Check, Problem, RunCheck
from glassgpt.doctor.examination import CHECKS, examine, run_checks
from glassgpt.doctor.kept import Kept, keep_examination, kept_examination
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.doctor.visit import examine_data, examine_outcome, examine_with

__all__ = [
    "CHECKS",
    "Check",
    "Kept",
    "Problem",
    "RunCheck",
    "Skip",
    "Subject",
    "category_of",
    "examine",
    "examine_data",
    "examine_outcome",
    "examine_with",
    "keep_examination",
    "kept_examination",
    "run_checks",
]
