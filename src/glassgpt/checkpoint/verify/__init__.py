"""Verification of a run: every byte, or only names and sizes."""

from glassgpt.checkpoint.verify.health import RunHealth, StepHealth
from glassgpt.checkpoint.verify.verify import quick_check, verify_run

__all__ = ["RunHealth", "StepHealth", "quick_check", "verify_run"]
