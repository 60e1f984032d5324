"""The doctor: active checks of models, training and data that say what is wrong, and the remedy."""

from glassgpt.doctor.checks import Check, Problem, RunCheck
from glassgpt.doctor.examination import CHECKS, examine, run_checks
from glassgpt.doctor.examined_files import examine_data, examine_outcome, examine_with
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.stored_examination import StoredExamination, load_examination, save_examination
from glassgpt.doctor.subject import Skip, Subject

__all__ = [
    "CHECKS",
    "Check",
    "Problem",
    "RunCheck",
    "Skip",
    "StoredExamination",
    "Subject",
    "category_of",
    "examine",
    "examine_data",
    "examine_outcome",
    "examine_with",
    "load_examination",
    "run_checks",
    "save_examination",
]
