"""The doctor: active checks of models, training and data that say what is wrong, and the remedy."""

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.examination import CHECKS, examine, run_checks
from glassgpt.doctor.subject import Skip, Subject

__all__ = ["CHECKS", "Check", "Problem", "Skip", "Subject", "examine", "run_checks"]
